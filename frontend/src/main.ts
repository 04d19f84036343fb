import { mount } from 'svelte';
import App from './App.svelte';
import { navigate } from './app/router.svelte';
import { loadLocale } from './lib/i18n/index.svelte';
import { session } from './lib/state/session.svelte';
import { settings } from './lib/state/settings.svelte';
import './lib/state/theme.svelte';
import './app.css';

session.onexpired = () => {
	const here = window.location.pathname + window.location.search;
	// A running meeting deals with it itself; there is nothing to gain from throwing people out of a call.
	if (!/^\/(m|c)\//.test(here)) navigate(`/auth/login?redirect=${encodeURIComponent(here)}`, { replace: true });
};

const wanted = new URLSearchParams(window.location.search).get('lang');
void loadLocale(wanted ? [wanted, ...navigator.languages] : navigator.languages);
void session.start();
void settings.load();

const target = document.getElementById('app');
if (target) mount(App, { target });
