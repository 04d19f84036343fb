// Drives the unmodified livekit-client and reports what a person would notice.
(() => {
  const { Room, RoomEvent, Track, ConnectionState } = LivekitClient;
  let room;
  let ear;
  const log = [];
  const messages = [];
  const say = (e) => log.push(`${Math.round(performance.now())} ${e}`);

  const participant = (identity) => room.remoteParticipants.get(identity);
  const publication = (identity, source) => participant(identity)?.getTrackPublication(source);

  async function stats() {
    const pcs = [room.engine.pcManager.publisher?._pc ?? room.engine.pcManager.publisher?.pc, room.engine.pcManager.subscriber?._pc ?? room.engine.pcManager.subscriber?.pc].filter(Boolean);
    return Promise.all(pcs.map(async (pc) => [...(await pc.getStats()).values()]));
  }

  /** Our ends of the candidate pairs in use. */
  async function locals() {
    return (await stats()).flatMap((all) => {
      const transport = all.find((s) => s.type === 'transport');
      const pair = all.find((s) => s.id === transport?.selectedCandidatePairId) ?? all.find((s) => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded');
      return all.find((s) => s.id === pair?.localCandidateId) ?? [];
    });
  }

  window.driver = {
    async connect(url, token, { room: roomOptions = {}, connect: connectOptions = {} } = {}) {
      room = new Room({ adaptiveStream: false, dynacast: false, ...roomOptions });
      window.room = room;
      for (const name of Object.values(RoomEvent)) room.on(name, () => say(name));
      room.on(RoomEvent.DataReceived, (payload, from, kind, topic) => {
        messages.push({ text: new TextDecoder().decode(payload), from: from?.identity, kind, topic });
      });
      room.on(RoomEvent.TrackSubscribed, (track) => {
        const el = track.attach();
        el.dataset.sid = track.sid;
        document.getElementById('media').append(el);
      });
      room.on(RoomEvent.TrackUnsubscribed, (track) => track.detach().forEach((el) => el.remove()));
      room.on(RoomEvent.Disconnected, (reason) => say(`disconnected:${reason}`));
      await room.connect(url, token, connectOptions);
      return { sid: await room.getSid(), identity: room.localParticipant.identity, singlePc: room.engine.pcManager.mode ?? null };
    },
    async publishCamera(options = {}, publish = {}) {
      await room.localParticipant.setCameraEnabled(true, { resolution: { width: 1280, height: 720, frameRate: 15 }, ...options }, publish);
    },
    publishMicrophone: async () => void (await room.localParticipant.setMicrophoneEnabled(true, { echoCancellation: false, noiseSuppression: false, autoGainControl: false })),
    async publishTone(hz) {
      await room.localParticipant.publishTrack(await media.tone(hz), { source: Track.Source.Microphone, dtx: false, red: true });
    },
    async publishLadder() {
      await room.localParticipant.publishTrack(await ladder.tone(), { source: Track.Source.Microphone, dtx: false, red: true });
    },
    /** Hears the ladder of `identity`, from each track it will have. */
    async followLadder(identity) {
      ear = await ladder.listener();
      const listen = (track, participant) => participant.identity === identity && track.kind === 'audio' && ear.follow(track.mediaStreamTrack);
      room.on(RoomEvent.TrackSubscribed, (track, _publication, from) => listen(track, from));
      const now = publication(identity, Track.Source.Microphone)?.track;
      if (now) listen(now, participant(identity));
    },
    ladder: () => ear.heard,
    resetLadder: () => void ear.reset(),
    async publishCanvas(width, height, source = 'screen_share') {
      const picture = media.picture(width, height);
      // A busy machine must not shrink it: tests know the publisher by its size.
      picture.contentHint = 'detail';
      await room.localParticipant.publishTrack(picture, { source, simulcast: false });
    },
    setMicrophone: async (on) => void (await room.localParticipant.setMicrophoneEnabled(on)),
    setCamera: async (on) => void (await room.localParticipant.setCameraEnabled(on)),
    async unpublish(source) {
      const pub = room.localParticipant.getTrackPublication(source);
      await room.localParticipant.unpublishTrack(pub.track);
    },
    setQuality(identity, quality) {
      publication(identity, Track.Source.Camera).setVideoQuality(quality);
    },
    subscribe(identity, source, on) {
      publication(identity, source).setSubscribed(on);
    },
    send: (text, options) => room.localParticipant.publishData(new TextEncoder().encode(text), options),
    sendText: async (text, options) => void (await room.localParticipant.sendText(text, options)),
    onText(topic) {
      room.registerTextStreamHandler(topic, async (reader, from) => {
        messages.push({ text: await reader.readAll(), from: from.identity, topic, stream: true });
      });
    },
    onBytes(topic) {
      room.registerByteStreamHandler(topic, async (reader, from) => {
        const bytes = await new Blob(await reader.readAll()).arrayBuffer();
        const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
        messages.push({ sha256: [...digest].map((b) => b.toString(16).padStart(2, '0')).join(''), from: from.identity, topic });
      });
    },
    /** Publishes and unpublishes `times` tracks, audio and video in turn. */
    async churn(times) {
      const ctx = media.context();
      for (let i = 0; i < times; i++) {
        const canvas = document.createElement('canvas');
        canvas.getContext('2d').fillRect(0, 0, 10, 10);
        const stream = i % 2 ? canvas.captureStream(5) : ctx.createMediaStreamDestination().stream;
        const published = await room.localParticipant.publishTrack(stream.getTracks()[0], { simulcast: false });
        await room.localParticipant.unpublishTrack(published.track, true);
      }
    },
    /** Media sections of each connection's description. */
    sections() {
      const { publisher, subscriber } = room.engine.pcManager;
      return [publisher, subscriber].map((t) => t?._pc ?? t?.pc).filter(Boolean).map((pc) => (pc.localDescription?.sdp ?? '').split('\r\nm=').length - 1);
    },
    onRpc(method) {
      room.registerRpcMethod(method, async (d) => `${d.callerIdentity}:${d.payload}`);
    },
    rpc: (destinationIdentity, method, payload) => room.localParticipant.performRpc({ destinationIdentity, method, payload }),
    messages: () => messages,
    events: () => log,
    state: () => room?.state,
    isConnected: () => room?.state === ConnectionState.Connected,
    participants: () => [...room.remoteParticipants.keys()].sort(),
    tracks(identity) {
      return [...(participant(identity)?.trackPublications.values() ?? [])].map((p) => ({ sid: p.trackSid, source: p.source, muted: p.isMuted, subscribed: p.isSubscribed, mime: p.mimeType, simulcasted: p.simulcasted }));
    },
    myTracks: () => [...room.localParticipant.trackPublications.values()].map((p) => ({ sid: p.trackSid, source: p.source, muted: p.isMuted })),
    sid: () => room.localParticipant.sid,
    speakers: () => room.activeSpeakers.map((p) => p.identity),
    attributes: (identity) => participant(identity)?.attributes,
    permissions: () => JSON.parse(JSON.stringify(room.localParticipant.permissions ?? null)),
    setAttributes: (a) => room.localParticipant.setAttributes(a),
    async video(identity, source) {
      const track = publication(identity, source)?.track;
      const element = track?.attachedElements[0];
      if (!element) return null;
      const report = await track.getRTCStatsReport();
      const inbound = [...report.values()].find((s) => s.type === 'inbound-rtp');
      return { width: element.videoWidth, height: element.videoHeight, frames: inbound?.framesDecoded ?? 0, freezes: inbound?.freezeCount, lost: inbound?.packetsLost, nack: inbound?.nackCount, codec: report.get(inbound?.codecId)?.mimeType };
    },
    async peak(identity) {
      const track = publication(identity, Track.Source.Microphone)?.track?.mediaStreamTrack;
      return track ? media.peak(track) : null;
    },
    async audio(identity) {
      const track = publication(identity, Track.Source.Microphone)?.track;
      const inbound = track && [...(await track.getRTCStatsReport()).values()].find((s) => s.type === 'inbound-rtp');
      return inbound ? { packets: inbound.packetsReceived, energy: inbound.totalAudioEnergy, lost: inbound.packetsLost } : null;
    },
    /** Protocols of the candidate pairs in use, e.g. ['udp'] or ['tcp']. */
    paths: async () => (await locals()).map((local) => local.protocol),
    /** Our addresses in the candidate pairs in use. */
    addresses: async () => (await locals()).map((local) => local.address),
    connections: async () => (await stats()).length,
    /** Spatial layers being sent: rid, size and frames. */
    async layers() {
      return (await stats()).flat().filter((s) => s.type === 'outbound-rtp' && s.kind === 'video').map((s) => ({ rid: s.rid, width: s.frameWidth, frames: s.framesSent, active: s.active, target: s.targetBitrate, pli: s.pliCount, nack: s.nackCount }));
    },
    simulate: (scenario, arg) => room.simulateScenario(scenario, arg),
    /** New ICE credentials and checks on all connections, as after a change of network. */
    restartIce: () => room.engine.pcManager.triggerIceRestart(),
    async disconnect() {
      await room.disconnect();
    },
  };
})();
