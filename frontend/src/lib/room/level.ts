/** Follows the loudness of a stream and reports it, 0 to 1, once per frame while the page is visible. */
export function watchLevel(stream: MediaStream, report: (level: number) => void): () => void {
	const context = new AudioContext();
	const analyser = context.createAnalyser();
	analyser.fftSize = 512;
	analyser.smoothingTimeConstant = 0.6;
	const source = context.createMediaStreamSource(stream);
	source.connect(analyser);
	const samples = new Float32Array(analyser.fftSize);
	let frame = requestAnimationFrame(function tick() {
		analyser.getFloatTimeDomainData(samples);
		report(loudness(samples));
		frame = requestAnimationFrame(tick);
	});
	// Browsers hold audio back until the first gesture; a suspended meter would look like a broken microphone.
	const wake = () => void context.resume();
	window.addEventListener('pointerdown', wake, { once: true });
	return () => {
		cancelAnimationFrame(frame);
		window.removeEventListener('pointerdown', wake);
		source.disconnect();
		void context.close();
	};
}

/** Root mean square of the samples, scaled so that ordinary speech fills most of the meter. */
export function loudness(samples: Float32Array): number {
	let sum = 0;
	for (const sample of samples) sum += sample * sample;
	return Math.min(1, Math.sqrt(sum / samples.length) * 2.5);
}
