// Pictures and tones to send, and the frequency that is heard: what every page of the tests needs.
window.media = (() => {
  let ctx;

  /** The one audio context of the page. */
  const context = () => (ctx ??= new AudioContext({ sampleRate: 48_000 }));

  /** The same, running. Firefox without a sound card never gets that far. */
  async function audio() {
    await context().resume();
    return ctx;
  }

  /** A moving canvas: exact size, no picker. */
  function picture(width, height) {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const g = canvas.getContext('2d');
    let n = 0;
    setInterval(() => {
      g.fillStyle = `hsl(${n * 7 % 360} 80% 50%)`;
      g.fillRect(0, 0, width, height);
      g.fillStyle = '#fff';
      g.fillRect(n++ * 11 % width, 0, 80, height);
    }, 66);
    return canvas.captureStream(15).getVideoTracks()[0];
  }

  /** A steady tone. */
  async function tone(hz) {
    const running = await audio();
    const oscillator = running.createOscillator();
    oscillator.frequency.value = hz;
    const out = running.createMediaStreamDestination();
    oscillator.connect(out);
    oscillator.start();
    return out.stream.getAudioTracks()[0];
  }

  const ears = new Map();

  /** Frequency with the most energy in a track, and its level in dB. */
  async function peak(track) {
    const running = await audio();
    let ear = ears.get(track.id);
    if (!ear) {
      const analyser = running.createAnalyser();
      analyser.fftSize = 8192;
      analyser.smoothingTimeConstant = 0;
      running.createMediaStreamSource(new MediaStream([track])).connect(analyser);
      ear = { analyser, bins: new Float32Array(analyser.frequencyBinCount) };
      ears.set(track.id, ear);
    }
    const { analyser, bins } = ear;
    analyser.getFloatFrequencyData(bins);
    let best = 1;
    for (let i = 2; i < bins.length; i++) if (bins[i] > bins[best]) best = i;
    return { hz: best * running.sampleRate / analyser.fftSize, level: bins[best] };
  }

  return { context, audio, picture, tone, peak };
})();
