// The page: starts runs, shows them, approves them. The server it talks to is in this browser.

import { register } from '/package/index.js';

import { work } from './desk.js';
import { RELEASE, STEPS } from './workflow.js';

/** How often the list looks for news, in milliseconds. Nothing leaves the browser for it. */
const LOOK_MILLIS = 1_000;

/** What a task's status looks like: a sign, and words for those who do not see it. */
const SIGNS = {
  completed: ['✓', 'done'],
  failed: ['!', 'failed'],
  running: ['…', 'under way'],
  ready: ['…', 'waits for the desk'],
  waiting: ['…', 'waiting'],
};

const form = document.querySelector('form');
const list = document.querySelector('#runs');
const empty = document.querySelector('#empty');
const notice = document.querySelector('#notice');
const network = document.querySelector('#network');
const template = document.querySelector('template');

let selvedge;

try {
  selvedge = await register({ worker: '/worker.js' });
  await ask('PUT', '/api/v1/workflows/release', RELEASE);
  form.querySelector('button').disabled = false;
  form.addEventListener('submit', start);
  addEventListener('online', showNetwork);
  addEventListener('offline', showNetwork);
  showNetwork();
  work(selvedge, show);
  await show();
  setInterval(() => document.hidden || show(), LOOK_MILLIS);
} catch (error) {
  say(error.message);
}

async function start(event) {
  event.preventDefault();
  const field = form.elements.name;
  try {
    await ask('POST', '/api/v1/runs', { workflow: 'release', input: { name: field.value } });
    field.value = '';
    say('');
  } catch (error) {
    say(error.message);
  }
  await show();
}

async function approve(id) {
  try {
    await ask('POST', `/api/v1/runs/${id}/signals/approval`, { payload: { by: 'you' } });
    say('');
  } catch (error) {
    say(error.message);
  }
  await show();
}

/** Brings the list to what the server says. */
async function show() {
  try {
    const { items } = await ask('GET', '/api/v1/runs?limit=20');
    const tasks = await Promise.all(items.map(({ id }) => ask('GET', `/api/v1/runs/${id}/tasks`)));
    empty.hidden = items.length > 0;
    const cards = items.map((run, index) => card(run, tasks[index].items));
    for (const old of list.querySelectorAll('li.run')) {
      if (!items.some(({ id }) => id === old.dataset.id)) old.remove();
    }
    cards.forEach((card, index) => list.children[index] === card || list.insertBefore(card, list.children[index] ?? null));
  } catch (error) {
    say(error.message);
  }
}

/** The card of a run: the one that is there, or a new one. It changes only where there is news. */
function card(run, tasks) {
  let element = [...list.children].find(({ dataset }) => dataset.id === run.id);
  if (!element) {
    element = template.content.firstElementChild.cloneNode(true);
    element.dataset.id = run.id;
    element.querySelector('h3').textContent = run.input.name;
    const time = element.querySelector('time');
    time.dateTime = run.created_at;
    time.textContent = new Date(run.created_at).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
    element.querySelector('button').addEventListener('click', () => approve(run.id));
  }
  const state = new Map(tasks.map(({ task, status }) => [task, status]));
  const signature = JSON.stringify([run.status, [...state]]);
  if (element.dataset.signature === signature) return element;
  element.dataset.signature = signature;
  element.dataset.status = run.status;
  element.querySelector('.steps').replaceChildren(...STEPS.map(([task, title]) => step(title, state.get(task))));
  const awaits = state.get('approve') === 'waiting';
  element.querySelector('button').hidden = !awaits;
  element.querySelector('.outcome').textContent = outcome(run, awaits);
  return element;
}

function step(title, status = 'pending') {
  const item = document.createElement('li');
  const [sign, words] = SIGNS[status] ?? ['', 'not yet'];
  item.dataset.status = status;
  item.innerHTML = '<span class="sign" aria-hidden="true"></span><span class="title"></span><span class="hidden"></span>';
  const [mark, name, spoken] = item.children;
  mark.textContent = sign;
  name.textContent = title;
  spoken.textContent = `: ${words}`;
  return item;
}

function outcome(run, awaits) {
  if (run.status === 'completed') return `${run.output.text}.`;
  if (run.status === 'running') return awaits ? 'Waiting for your approval, for as long as it takes.' : 'Under way.';
  return run.failure?.message ?? run.status;
}

async function ask(method, path, body) {
  const headers = body ? { 'content-type': 'application/json' } : {};
  const answer = await selvedge.fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const document = await answer.json();
  if (!answer.ok) throw new Error(document.detail ?? document.title);
  return document;
}

function showNetwork() {
  network.dataset.online = navigator.onLine;
  network.textContent = navigator.onLine ? 'Online' : 'Offline';
}

function say(words) {
  notice.textContent = words;
  notice.hidden = !words;
}
