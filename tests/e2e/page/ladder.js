// A tone that climbs a step each tenth of a second and begins again at the top: whoever hears it knows from the sound
// alone how much of it went missing, however slow the machine is.
window.ladder = (() => {
  const STEPS = 32;
  const STEP_SECONDS = 0.1;
  const LOWEST = 500;
  const RISE = 100;
  const MINUTES = 10;

  /** Runs in the audio thread: names the step of each 20 ms, and counts steps left out. */
  const processor = `registerProcessor('ladder', class extends AudioWorkletProcessor {
    window = new Float32Array(960);
    filled = 0;
    before = -1;
    current = -1;
    quiet = 0;
    process([input]) {
      const samples = input[0] ?? new Float32Array(128);
      for (const sample of samples) {
        this.window[this.filled++] = sample;
        if (this.filled === this.window.length) {
          this.hear(this.step());
          this.filled = 0;
        }
      }
      return true;
    }
    step() {
      const w = this.window;
      let energy = 0;
      let first = -1;
      let last = -1;
      let periods = -1;
      for (let i = 1; i < w.length; i++) {
        energy += w[i] * w[i];
        if (w[i - 1] < 0 && w[i] >= 0) {
          last = i - w[i] / (w[i] - w[i - 1]);
          if (periods < 0) first = last;
          periods += 1;
        }
      }
      if (energy / w.length < 1e-4 || periods < 3) return -1;
      const hz = periods / (last - first) * sampleRate;
      const step = Math.round((hz - ${LOWEST}) / ${RISE});
      return step >= 0 && step < ${STEPS} && Math.abs(hz - ${LOWEST} - ${RISE} * step) < 30 ? step : -1;
    }
    hear(step) {
      this.quiet = step < 0 ? this.quiet + 1 : 0;
      // Twice in a row: between two steps, a single window can sound like a third one.
      if (step >= 0 && step === this.before && step !== this.current) {
        const missed = this.current < 0 ? 0 : (step - this.current + ${STEPS} - 1) % ${STEPS};
        this.current = step;
        this.port.postMessage({ missed });
      }
      // A whole turn and more may be missing: that is not to be told from the steps.
      if (this.quiet * this.window.length === ${STEPS * STEP_SECONDS} * sampleRate) this.port.postMessage({ missed: ${STEPS} });
      this.before = step;
    }
  });`;

  /** The tone as a track. */
  async function tone() {
    const ctx = await media.audio();
    const oscillator = ctx.createOscillator();
    const begin = ctx.currentTime;
    for (let i = 0; i < MINUTES * 60 / STEP_SECONDS; i++) oscillator.frequency.setValueAtTime(LOWEST + RISE * (i % STEPS), begin + i * STEP_SECONDS);
    const out = ctx.createMediaStreamDestination();
    oscillator.connect(out);
    oscillator.start();
    return out.stream.getAudioTracks()[0];
  }

  /** Something that hears the tone in one track after another, and counts. */
  async function listener() {
    const ctx = await media.audio();
    await ctx.audioWorklet.addModule(URL.createObjectURL(new Blob([processor], { type: 'text/javascript' })));
    const node = new AudioWorkletNode(ctx, 'ladder', { channelCount: 1, channelCountMode: 'explicit' });
    node.connect(ctx.destination);
    const heard = { steps: 0, lostMs: 0, worstMs: 0 };
    node.port.onmessage = ({ data: { missed } }) => {
      const ms = missed * STEP_SECONDS * 1000;
      heard.steps += 1;
      heard.lostMs += ms;
      heard.worstMs = Math.max(heard.worstMs, ms);
    };
    return {
      heard,
      follow: (track) => ctx.createMediaStreamSource(new MediaStream([track])).connect(node),
      reset: () => Object.assign(heard, { steps: 0, lostMs: 0, worstMs: 0 }),
    };
  }

  return { tone, listener };
})();
