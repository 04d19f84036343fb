// WHIP and WHEP from a plain page: RTCPeerConnection and fetch, nothing else.
(() => {
  const log = [];
  let pc;
  let session;
  let element;
  let chat;
  const heard = [];

  const auth = (token) => ({ authorization: `Bearer ${token}` });
  const attribute = (sdp, name) => sdp.match(new RegExp(`^a=${name}:(.*)$`, 'm'))?.[1].trim();

  async function open(address, token) {
    await pc.setLocalDescription();
    const response = await fetch(address, { method: 'POST', headers: { ...auth(token), 'content-type': 'application/sdp' }, body: pc.localDescription.sdp });
    const body = await response.text();
    if (response.status !== 201) throw new Error(`${response.status} ${body}`);
    session = { address: new URL(response.headers.get('location'), address).href, etag: response.headers.get('etag'), token };
    await pc.setRemoteDescription({ type: 'answer', sdp: body });
    return { ...session, offer: pc.localDescription.sdp, answer: body };
  }

  function peerConnection() {
    pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    pc.onconnectionstatechange = () => log.push(`connection:${pc.connectionState}`);
    pc.oniceconnectionstatechange = () => log.push(`ice:${pc.iceConnectionState}`);
  }

  window.driver = {
    async publish(address, token, { hz = 1000, microphone = false, rids = [], width = 1280, height = 720, channel } = {}) {
      peerConnection();
      if (channel) {
        chat = pc.createDataChannel(channel);
        chat.onmessage = async (e) => heard.push(typeof e.data === 'string' ? e.data : await new Response(e.data).text());
      }
      const sound = microphone ? (await navigator.mediaDevices.getUserMedia({ audio: true })).getAudioTracks()[0] : await media.tone(hz);
      pc.addTransceiver(sound, { direction: 'sendonly' });
      const scale = 2 ** (rids.length - 1);
      const sendEncodings = rids.map((rid, i) => ({ rid, scaleResolutionDownBy: scale / 2 ** i, maxBitrate: 100_000 * 3 ** i }));
      const picture = media.picture(width, height);
      // A busy machine must not shrink the picture; layers stay as they are anyway.
      if (!rids.length) picture.contentHint = 'detail';
      pc.addTransceiver(picture, { direction: 'sendonly', sendEncodings: rids.length ? sendEncodings : undefined });
      return open(address, token);
    },
    async play(address, token) {
      peerConnection();
      element = Object.assign(document.createElement('video'), { autoplay: true, muted: true });
      document.body.append(element);
      pc.addTransceiver('audio', { direction: 'recvonly' });
      pc.addTransceiver('video', { direction: 'recvonly' });
      // As simple players do: the first stream has everything.
      pc.ontrack = (e) => {
        element.srcObject ??= e.streams[0];
      };
      return open(address, token);
    },
    async trickle() {
      const sdp = pc.localDescription.sdp;
      const lines = sdp.split('\r\n').filter((l) => l.startsWith('a=candidate'));
      const body = [`a=ice-ufrag:${attribute(sdp, 'ice-ufrag')}`, `a=ice-pwd:${attribute(sdp, 'ice-pwd')}`, 'm=audio 9 UDP/TLS/RTP/SAVPF 111', 'a=mid:0', ...lines, ''].join('\r\n');
      return (await this.patch(session.etag, body)).status;
    },
    async patch(ifMatch, body) {
      const headers = { ...auth(session.token), 'content-type': 'application/trickle-ice-sdpfrag', 'if-match': ifMatch };
      const response = await fetch(session.address, { method: 'PATCH', headers, body });
      return { status: response.status, etag: response.headers.get('etag'), body: await response.text() };
    },
    /** RFC 9725 section 4.3.3: new credentials on both sides, everything else as it was. */
    async restart() {
      const before = pc.remoteDescription.sdp;
      pc.restartIce();
      await pc.setLocalDescription();
      const sdp = pc.localDescription.sdp;
      const body = [`a=ice-ufrag:${attribute(sdp, 'ice-ufrag')}`, `a=ice-pwd:${attribute(sdp, 'ice-pwd')}`, 'm=audio 9 UDP/TLS/RTP/SAVPF 111', 'a=mid:0', ''].join('\r\n');
      const { status, etag, body: fragment } = await this.patch('*', body);
      if (status === 200) {
        const old = session.etag;
        session.etag = etag;
        const answer = before
          .replace(/^a=ice-ufrag:.*$/gm, `a=ice-ufrag:${attribute(fragment, 'ice-ufrag')}`)
          .replace(/^a=ice-pwd:.*$/gm, `a=ice-pwd:${attribute(fragment, 'ice-pwd')}`);
        await pc.setRemoteDescription({ type: 'answer', sdp: answer });
        return { status, changed: old !== etag };
      }
      return { status, body: fragment };
    },
    say: (text) => chat.send(text),
    chat: () => ({ open: chat.readyState === 'open', heard }),
    async end() {
      return (await fetch(session.address, { method: 'DELETE', headers: auth(session.token) })).status;
    },
    async video() {
      const inbound = [...(await pc.getStats()).values()].find((s) => s.type === 'inbound-rtp' && s.kind === 'video');
      return { width: element.videoWidth, height: element.videoHeight, frames: inbound?.framesDecoded ?? 0, ssrc: inbound?.ssrc };
    },
    async peak() {
      const track = element.srcObject?.getAudioTracks()[0];
      return track ? media.peak(track) : null;
    },
    /** Layers being sent. */
    async layers() {
      return [...(await pc.getStats()).values()].filter((s) => s.type === 'outbound-rtp' && s.kind === 'video').map((s) => ({ rid: s.rid, width: s.frameWidth, frames: s.framesSent ?? 0, pli: s.pliCount ?? 0 }));
    },
    /** Protocol of the path in use. */
    async path() {
      const all = [...(await pc.getStats()).values()];
      const pair = all.find((s) => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded');
      return all.find((s) => s.id === pair?.localCandidateId)?.protocol ?? null;
    },
    state: () => pc.connectionState,
    events: () => log,
  };
})();
