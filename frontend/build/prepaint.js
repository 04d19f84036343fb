// Sets the theme before the first paint. Kept free of comments inside statements: the build joins the lines.
(() => {
	let mode = 'system';
	try {
		mode = JSON.parse(localStorage.getItem('theme') || '{}').state?.theme ?? 'system';
	} catch {}
	const dark = mode === 'dark' || (mode !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
	document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
