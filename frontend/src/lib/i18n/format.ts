export type MessageParams = Record<string, string | number>;

/** Fills a pattern; `{count|one form|other form}` picks by the plural rule of the language, `#` is the number. */
export function formatMessage(pattern: string, language: string, params?: MessageParams): string {
	return pattern.replace(/\{(\w+)(?:\|([^|{}]*)\|([^|{}]*))?\}/g, (_, name: string, one?: string, other?: string) => {
		const value = params?.[name];
		if (value === undefined) return '';
		if (one === undefined || other === undefined) return String(value);
		const form = new Intl.PluralRules(language).select(Number(value)) === 'one' ? one : other;
		return form.replaceAll('#', new Intl.NumberFormat(language).format(Number(value)));
	});
}
