import '../styles/base.css';
import { mount } from 'svelte';
import { applyLook } from '../lib/look';
import Gallery from './Gallery.svelte';
import { show } from './show';
import { levels, states } from './states';

const query = new URLSearchParams(location.search);
const wished = query.get('state');
const theme = query.get('theme');
const target = document.getElementById('app');
applyLook({
  theme: theme === 'light' || theme === 'dark' ? theme : 'system',
  contrast: query.get('contrast') === 'more' ? 'more' : 'system',
  scale: Number(query.get('scale') ?? 100),
});

const state = states.find((candidate) => candidate.id === wished);
if (target && state) {
  const shown = await show(state, target);
  document.documentElement.dataset.ready = 'true';
  setInterval(() => {
    const wave = (Math.sin(Date.now() / 180) + 1) / 2;
    const volume = Object.fromEntries(
      Object.entries(levels.volume).map(([user, level]) => [user, level * (0.4 + 0.6 * wave)]),
    );
    shown.backend.level({ ...levels, volume });
  }, 100);
} else if (target) {
  mount(Gallery, { target });
}
