// The page: channels on the left, one channel's messages on the right, kept live by server-sent events.

import { renderBlocks } from "./blocks.js";
import { know, make, mrkdwn } from "./mrkdwn.js";

const $ = (id) => document.getElementById(id);
const state = { boot: "", channels: [], people: [], messages: new Map(), active: "", person: "", open: new Set(), read: new Map() };
const key = (m) => `${m.channel}/${m.ts}`;
const idOf = (m) => `m-${key(m).replace(/[^\w]/g, "-")}`;

function remembered(name) {
  try { return sessionStorage.getItem(name) ?? ""; } catch { return ""; }
}
function remember(name, value) {
  try { sessionStorage.setItem(name, value); } catch { /* private windows may refuse; nothing depends on it */ }
}

// ---------------------------------------------------------------------------------------------------------- what is shown

const visible = (m) => !m.deleted && (!m.visible_to || m.visible_to === state.person);
const inChannel = (m) => visible(m) && (!m.thread_ts || m.broadcast);
const ofChannel = (id) => [...state.messages.values()].filter((m) => m.channel === id).sort((a, b) => (a.ts < b.ts ? -1 : 1));
const repliesOf = (m) => ofChannel(m.channel).filter((r) => r.thread_ts === m.ts && visible(r));

function clock(ms) {
  return new Date(ms).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}

function gist(m) {
  const header = m.blocks.find((b) => b.type === "header")?.text?.text;
  const said = (header ?? m.text ?? "").replace(/^(<![^>]*>\s*)+/, ""); // whom it pinged is no title
  const text = make("span", "", mrkdwn(said)).textContent.replace(/\s+/g, " ");
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

function messageNode(m, reply) {
  const name = make("span", "author", m.author);
  const line = make("div", "who", name);
  if (m.app) line.append(make("span", "tag", "APP"));
  const time = make("time", "at", clock(m.at_ms));
  time.title = new Date(m.at_ms).toLocaleString();
  line.append(time);
  const body = make("div", "body", line);
  if (m.visible_to) body.append(make("div", "only", "👁 Only visible to you"));
  if (m.broadcast && !reply) {
    const parent = state.messages.get(`${m.channel}/${m.thread_ts}`);
    const jump = make("button", "jump", parent ? gist(parent) : "a thread");
    jump.type = "button";
    jump.addEventListener("click", () => goTo(m.thread_ts));
    body.append(make("div", "also", "replied to a thread: ", jump));
  }
  body.append(content(m));
  if (m.edits) {
    const edited = make("span", "edited", m.edits > 1 ? `(edited ${m.edits}×)` : "(edited)");
    edited.title = `last edited ${new Date(m.edited_ms).toLocaleString()}`;
    body.append(edited);
  }
  if (!reply && !m.thread_ts) body.append(threadNode(m));
  const mark = make("div", `avatar ${m.app ? "app" : "human"}`, m.app ? "⌁" : m.author.slice(0, 1));
  mark.setAttribute("aria-hidden", "true");
  const node = make("article", `message${m.visible_to ? " ephemeral" : ""}`, mark, body);
  node.id = (reply ? "r-" : "") + idOf(m);
  return node;
}

function content(m) {
  const box = make("div", "content");
  const press = (element, block, option) => pressed(m, element, block, option);
  if (m.blocks.length) box.append(renderBlocks(m.blocks, press));
  else if (m.text) box.append(make("div", "b-text", mrkdwn(m.text)));
  for (const a of m.attachments) {
    const inner = make("div", "attached");
    if (/^#[0-9a-f]{3,8}$/i.test(a.color ?? "")) inner.style.borderColor = a.color;
    if (a.blocks) inner.append(renderBlocks(a.blocks, press));
    else {
      if (a.title) inner.append(make("h4", "", mrkdwn(a.title)));
      if (a.text) inner.append(make("div", "b-text", mrkdwn(a.text)));
    }
    box.append(inner);
  }
  return box;
}

function threadNode(m) {
  const replies = repliesOf(m);
  const holder = make("div", "thread");
  if (!replies.length) return holder;
  const open = state.open.has(key(m));
  const toggle = make("button", "replies", `${open ? "▾" : "▸"} ${replies.length} ${replies.length === 1 ? "reply" : "replies"}`);
  toggle.type = "button";
  toggle.setAttribute("aria-expanded", String(open));
  toggle.append(make("span", "last", ` last at ${clock(replies.at(-1).at_ms)}`));
  toggle.addEventListener("click", () => {
    if (!state.open.delete(key(m))) state.open.add(key(m));
    refresh(m);
  });
  holder.append(toggle);
  if (open) holder.append(...replies.map((r) => messageNode(r, true)));
  return holder;
}

function goTo(ts) {
  const target = state.messages.get(`${state.active}/${ts}`);
  if (!target) return;
  state.open.add(key(target));
  refresh(target);
  const node = $(idOf(target));
  node?.scrollIntoView({ block: "center", behavior: "smooth" });
  flash(node);
}

function flash(node) {
  if (!node) return;
  node.classList.remove("flash");
  void node.offsetWidth; // restarts the animation
  node.classList.add("flash");
}

// Somebody is choosing from a menu of it: an edit must not take the menu away under their pointer.
const inUse = (node) => node.querySelector(":popover-open, select:focus") !== null;

// Puts one message where it belongs in the open channel, or takes it away.
function refresh(m, changed) {
  const old = $(idOf(m));
  if (m.channel !== state.active) return;
  if (!inChannel(m)) { old?.remove(); return; }
  if (old && inUse(old)) {
    setTimeout(() => refresh(state.messages.get(key(m)), changed), 400);
    return;
  }
  const node = messageNode(m, false);
  if (old) {
    const focused = old.contains(document.activeElement) ? [...old.querySelectorAll("button, a, select")].indexOf(document.activeElement) : -1;
    node.dataset.ts = m.ts;
    old.replaceWith(node);
    if (focused >= 0) node.querySelectorAll("button, a, select")[focused]?.focus({ preventScroll: true });
    if (changed) flash(node);
    return;
  }
  const after = [...$("messages").children].find((n) => n.dataset.ts && n.dataset.ts > m.ts);
  node.dataset.ts = m.ts;
  $("messages").insertBefore(node, after ?? null);
}

function openChannel(id) {
  state.active = id;
  remember("channel", id);
  const channel = state.channels.find((c) => c.id === id);
  $("title").textContent = `${channel?.private ? "🔒" : "#"} ${channel?.name ?? ""}`;
  $("messages").replaceChildren();
  const shown = ofChannel(id).filter(inChannel);
  if (!shown.length) $("messages").append(make("p", "empty", "Nothing here yet. Messages appear as SignalCraft sends them."));
  for (const m of shown) refresh(m);
  toBottom();
  sideBar();
}

function sideBar() {
  const latest = (id) => ofChannel(id).filter((m) => inChannel(m) && m.app);
  $("channels").replaceChildren(...state.channels.map((c) => {
    if (c.id === state.active && !document.hidden) state.read.set(c.id, latest(c.id).at(-1)?.ts ?? "");
    const unread = latest(c.id).filter((m) => m.ts > (state.read.get(c.id) ?? "")).length;
    const button = make("button", `channel${c.id === state.active ? " active" : ""}${unread ? " unread" : ""}`, make("span", "", `${c.private ? "🔒" : "#"} ${c.name}`));
    button.type = "button";
    if (c.id === state.active) button.setAttribute("aria-current", "true");
    if (unread) {
      const badge = make("span", "badge", String(unread));
      badge.setAttribute("aria-label", `${unread} unread`);
      button.append(badge);
    }
    button.addEventListener("click", () => openChannel(c.id));
    return make("li", "", button);
  }));
  const unread = document.querySelectorAll(".badge").length;
  document.title = `${unread ? "● " : ""}Team chat – SignalCraft demo`;
  const shown = ofChannel(state.active).filter(inChannel).length;
  $("about").textContent = shown ? `${shown} message${shown === 1 ? "" : "s"}` : "";
}

const list = $("messages");
const atBottom = () => list.scrollHeight - list.scrollTop - list.clientHeight < 120;
function toBottom() {
  list.scrollTop = list.scrollHeight;
  $("newest").hidden = true;
}
list.addEventListener("scroll", () => { if (atBottom()) $("newest").hidden = true; });
$("newest").addEventListener("click", toBottom);

// ------------------------------------------------------------------------------------------------------------ what happens

async function post(path, body) {
  const reply = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return [reply.ok, await reply.json()];
}

function toast(text) {
  const node = make("div", "toast", text);
  $("toasts").append(node);
  setTimeout(() => node.remove(), 6000);
}

async function pressed(m, element, block, option) {
  try {
    const [ok, said] = await post("/page/press", { channel: m.channel, ts: m.ts, action_id: element.action_id, block_id: block.block_id, user: state.person, option });
    if (!ok) toast(said.error);
    else if (!said.in_time) toast("SignalCraft did not answer within three seconds. Slack shows a warning sign here; try again.");
    else if (said.status >= 300) toast(`SignalCraft answered ${said.status}.`);
  } catch {
    toast("The stand-in is not there any more.");
  }
}

function take(update) {
  if (state.boot && state.boot !== update.boot) { location.reload(); return; }
  state.boot = update.boot;
  state.channels = update.channels;
  know(update.people, update.channels);
  persons(update.people);
  $("buttons").textContent = update.buttons;
  $("refused").textContent = String(update.refused);
  $("outage").checked = update.outage;
  $("down").hidden = !update.outage;
  const stay = !atBottom();
  let fresh = false;
  const parents = new Set();
  for (const m of update.messages) {
    const known = state.messages.has(key(m));
    state.messages.set(key(m), m);
    if (m.channel !== state.active) continue;
    if (!known && inChannel(m)) { fresh = true; list.querySelector(".empty")?.remove(); }
    refresh(m, known);
    if (m.thread_ts) parents.add(`${m.channel}/${m.thread_ts}`);
  }
  for (const parent of parents) if (state.messages.has(parent)) refresh(state.messages.get(parent));
  if (!state.active && state.channels.length) {
    const last = remembered("channel");
    openChannel(state.channels.some((c) => c.id === last) ? last : state.channels[0].id);
  } else if (fresh && stay) $("newest").hidden = false;
  else if (fresh || !stay) toBottom();
  sideBar();
}

function persons(people) {
  if (people.map((p) => p.id).join() === state.people.map((p) => p.id).join()) return;
  state.people = people;
  const last = remembered("person");
  state.person = people.some((p) => p.id === last) ? last : people[0]?.id ?? "";
  $("person").replaceChildren(...people.map((p) => new Option(p.name, p.id, false, p.id === state.person)));
}

$("person").addEventListener("change", () => {
  state.person = $("person").value;
  remember("person", state.person);
  openChannel(state.active);
});
$("outage").addEventListener("change", async () => {
  const [ok, said] = await post("/page/outage", { on: $("outage").checked });
  if (!ok) toast(said.error);
});
document.addEventListener("visibilitychange", sideBar);

const stream = new EventSource("/page/stream");
stream.addEventListener("message", (event) => take(JSON.parse(event.data)));
stream.addEventListener("open", () => { $("live").textContent = "live"; $("live").classList.add("on"); });
stream.addEventListener("error", () => { $("live").textContent = "connecting"; $("live").classList.remove("on"); });
