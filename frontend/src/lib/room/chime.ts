/** Plays two soft tones through the chosen speaker, so that a person can hear whether it works. */
export async function playChime(speakerId: string): Promise<void> {
	const context = new AudioContext();
	const target = context.createMediaStreamDestination();
	const now = context.currentTime;
	[523.25, 783.99].forEach((frequency, index) => {
		const oscillator = context.createOscillator();
		const gain = context.createGain();
		const start = now + 0.05 + index * 0.22;
		oscillator.frequency.value = frequency;
		gain.gain.setValueAtTime(0, start);
		gain.gain.linearRampToValueAtTime(0.25, start + 0.03);
		gain.gain.exponentialRampToValueAtTime(0.001, start + 0.6);
		oscillator.connect(gain).connect(target);
		oscillator.start(start);
		oscillator.stop(start + 0.65);
	});
	const audio = new Audio();
	audio.srcObject = target.stream;
	if (speakerId && 'setSinkId' in audio) await audio.setSinkId(speakerId).catch(() => {});
	await audio.play();
	setTimeout(() => {
		audio.srcObject = null;
		void context.close();
	}, 1500);
}
