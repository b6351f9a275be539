import './styles/base.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { tauri } from './lib/backend';
import { Desk } from './lib/desk.svelte';
import { applyLook, readLook } from './lib/look';
import { LaneScreen } from './lib/video/screen';

applyLook(readLook());

const screen = new LaneScreen(() => tauri.commands.videoLane());
const desk = new Desk(tauri, screen);
void desk.start();
const target = document.getElementById('app');
if (target) mount(App, { target, props: { desk } });
