/**
 * Every text of the app, in English. Other languages are files of the same shape.
 * `{name}` is replaced by a value; `{count|one person|# people}` picks a form by the language's plural rule.
 */
export const en = {
	'app.name': 'Bedrud',
	'app.loading': 'Loading…',
	'app.skip': 'Skip to content',
	'notFound.title': 'There is no page here',
	'notFound.text': 'The address may be misspelt, or the page has moved.',
	'notFound.home': 'Go to the start page',
} as const satisfies Record<string, string>;
