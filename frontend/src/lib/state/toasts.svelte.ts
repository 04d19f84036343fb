export type ToastTone = 'info' | 'success' | 'error';

export interface Toast {
	id: number;
	text: string;
	tone: ToastTone;
	action?: { label: string; run: () => void };
}

const shownFor = 5000;

/** Short messages in the corner. Errors stay longer; at most four are shown. */
class Toasts {
	list = $state.raw<Toast[]>([]);
	#next = 1;

	show(text: string, tone: ToastTone = 'info', action?: Toast['action']): void {
		const id = this.#next++;
		this.list = [...this.list, { id, text, tone, action }].slice(-4);
		setTimeout(() => this.dismiss(id), tone === 'error' || action ? shownFor * 2 : shownFor);
	}

	dismiss(id: number): void {
		this.list = this.list.filter((toast) => toast.id !== id);
	}
}

export const toasts = new Toasts();
