import { mount } from 'svelte';
import App from './App.svelte';
import './style/base.css';
import './style/theme';

mount(App, { target: document.getElementById('app')! });
