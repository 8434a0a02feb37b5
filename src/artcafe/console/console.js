// The console: what it asks the API for, and how it shows it. Whatever came from an agent or a human is
// put into the page as text and never as markup.

import { Live } from "./live.js";
import { SignedOut, isSignedIn, problem, signIn, signOut, takeAnswer, token } from "./sign-in.js";

const TENANT = "artcafe.tenant";
const MOST_EVENTS = 200;
const MOST_AGENTS = 1000;
const LONGEST_TEXT = 2000; // characters of a message that are shown
const USAGE_EVERY = 30_000; // ms

const at = (id) => document.getElementById(id);
const number = new Intl.NumberFormat();
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

let tenants = [];
let agents = new Map();
let live = null;
let paused = false;
let visit = 0; // one per chosen tenant: what comes late for another one is dropped

function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  if (options.class) made.className = options.class;
  if (options.text !== undefined) made.textContent = options.text;
  if (options.title !== undefined) made.title = options.title;
  made.append(...children);
  return made;
}

// Asking.

async function get(path, tenant = null) {
  const shown = await token();
  let answer = await request(path, tenant, shown);
  if (answer.status === 401) answer = await request(path, tenant, await token(shown));
  if (answer.status === 401) throw new SignedOut("Your sign-in is over.");
  if (!answer.ok) throw new Error((await problem(answer)) ?? `The platform answered ${answer.status}.`);
  return answer.json();
}

function request(path, tenant, bearer) {
  const headers = { authorization: `Bearer ${bearer}` };
  if (tenant !== null) headers["x-tenant-id"] = tenant;
  return fetch(`../api/v1/${path}`, { headers, credentials: "omit", cache: "no-store" });
}

async function whole(path, name, tenant, most) {
  const found = [];
  let next = null;
  do {
    const query = new URLSearchParams({ limit: "200", ...(next === null ? {} : { next_token: next }) });
    const page = await get(`${path}?${query}`, tenant);
    found.push(...page[name]);
    next = page.next_token;
  } while (next && found.length < most);
  return found;
}

// Showing.

function showAgents() {
  const rows = [...agents.values()].sort(
    (one, other) => (other.status === "online") - (one.status === "online") || one.id.localeCompare(other.id)
  );
  at("agents").replaceChildren(...rows.map(agentRow));
  at("agents-none").hidden = rows.length > 0;
  const online = rows.filter((agent) => agent.status === "online").length;
  at("online").textContent = `${number.format(online)} of ${number.format(rows.length)} online`;
}

function agentRow(agent) {
  const online = agent.status === "online";
  const seen = online ? "online" : agent.last_seen ? `seen ${day.format(new Date(agent.last_seen))}` : "never seen";
  const state = element("span", { class: online ? "state good" : "state", text: agent.enabled ? seen : "disabled" });
  const name = element("span", { class: "name" }, element("strong", { text: agent.name }));
  if (agent.id !== agent.name) name.append(" ", element("span", { class: "mono quiet", text: agent.id }));
  return element("li", {}, name, state);
}

function showChannels(channels) {
  at("channels").replaceChildren(
    ...channels.map((channel) => {
      const name = element("span", { class: "name" }, element("strong", { text: channel.name }), " ");
      name.append(element("span", { class: "mono quiet", text: channel.subject }));
      const said = `${number.format(channel.total_messages)} messages`;
      const last = channel.last_message_at ? `last ${day.format(new Date(channel.last_message_at))}` : "none yet";
      return element("li", {}, name, element("span", { class: "quiet", text: said, title: last }));
    })
  );
  at("channels-none").hidden = channels.length > 0;
  at("channels-count").textContent = channels.length ? number.format(channels.length) : "";
}

function showUsage(billing) {
  const { current_usage: used, limits } = billing;
  const rows = [
    ["Messages", number.format(used.messages)],
    ["Data", size(used.bytes)],
    ["API calls", number.format(used.api_calls)],
    ["Agents", share(used.agents, limits.max_agents)],
    ["Channels", share(used.channels, limits.max_channels)],
  ];
  at("usage").replaceChildren(
    ...rows.map(([name, value]) => element("div", {}, element("dt", { text: name }), element("dd", { text: value })))
  );
  at("plan").textContent = `Plan ${billing.plan}`;
}

function share(used, most) {
  return most === null ? number.format(used) : `${number.format(used)} of ${number.format(most)}`;
}

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = Math.min(units.length - 1, bytes > 0 ? Math.floor(Math.log10(bytes) / 3) : 0);
  return `${number.format(Number((bytes / 1000 ** step).toPrecision(3)))} ${units[step]}`;
}

function showLink(state) {
  const words = {
    connecting: "Connecting…",
    live: "Live",
    waiting: "Connection lost; trying again",
    closed: "Not allowed to watch any more",
    "signed out": "Signed out",
  };
  at("link").textContent = words[state];
  at("link").className = state === "live" ? "state good" : state === "connecting" ? "state" : "state bad";
  if (state === "signed out") leave("Your sign-in is over.");
}

function showFault(fault) {
  if (fault instanceof SignedOut) {
    leave(fault.message);
    return;
  }
  at("fault").textContent = fault.message;
  at("fault").hidden = false;
}

// What happens.

const MESSAGES = new Set(["topic_preview_message", "channel_message", "message"]);

function hear(frame) {
  if (frame.type === "connected") {
    at("role").textContent = `as ${frame.role}`;
  } else if (frame.type === "agent.online" || frame.type === "agent.offline") {
    comeOrGo(frame);
  } else if (MESSAGES.has(frame.type)) {
    const said = "data" in frame ? frame.data : frame.payload;
    showEvent(frame.timestamp, String(frame.subject ?? frame.topic), String(frame.from), compact(said));
  } else if (frame.type === "undecodable") {
    showEvent(new Date(), "", "", compact(frame.text), "undecodable");
  }
}

function comeOrGo(frame) {
  const id = String(frame.data?.agent_id ?? String(frame.topic).replace(/^presence\./, ""));
  const status = frame.type === "agent.online" ? "online" : "offline";
  const known = agents.get(id) ?? { id, name: id, enabled: true };
  agents.set(id, { ...known, status, last_seen: frame.data?.timestamp ?? frame.timestamp });
  showAgents();
  showEvent(frame.timestamp, `presence.${id}`, id, `is ${status}`, status);
}

/** A value in a line. What JSON cannot write, a browser's limits included, is told as such. */
function compact(data) {
  let text;
  try {
    text = (typeof data === "string" ? data : JSON.stringify(data)) ?? "nothing";
  } catch {
    text = "This message cannot be shown.";
  }
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}

function showEvent(timestamp, subject, from, text, kind = "message") {
  if (paused) return;
  const moment = new Date(timestamp);
  const time = element("time", { class: "quiet", text: Number.isNaN(moment.getTime()) ? "" : clock.format(moment) });
  const row = element("li", { class: kind }, time);
  row.append(
    element("span", { class: "mono subject", text: subject }),
    element("span", { class: "from", text: from }),
    element("span", { class: "mono said", text })
  );
  row.hidden = !matches(row);
  at("events").prepend(row);
  while (at("events").childElementCount > MOST_EVENTS) at("events").lastElementChild.remove();
  at("events-none").hidden = true;
}

function matches(row) {
  return row.querySelector(".subject").textContent.toLowerCase().includes(at("filter").value.trim().toLowerCase());
}

// Coming and going.

async function enter() {
  at("entrance").hidden = true;
  at("house").hidden = false;
  tenants = await get("tenants");
  at("nobody").hidden = tenants.length > 0;
  at("tenant").replaceChildren(
    ...tenants.map((tenant) => {
      const choice = element("option", { text: tenant.name === tenant.id ? tenant.id : `${tenant.name} (${tenant.id})` });
      choice.value = tenant.id;
      return choice;
    })
  );
  at("rooms").classList.toggle("bare", tenants.length === 0);
  if (tenants.length === 0) return;
  const last = sessionStorage.getItem(TENANT);
  at("tenant").value = tenants.some((tenant) => tenant.id === last) ? last : tenants[0].id;
  await choose();
}

async function choose() {
  const tenant = at("tenant").value;
  const mine = ++visit;
  sessionStorage.setItem(TENANT, tenant);
  live?.close();
  agents = new Map();
  at("fault").hidden = true;
  at("events").replaceChildren();
  at("events-none").hidden = false;
  at("role").textContent = "";
  const early = []; // who comes and goes while the list is on its way
  let listed = false;
  live = new Live(
    tenant,
    (frame) => (listed || frame.type === "connected" ? hear(frame) : early.push(frame)),
    (state) => mine === visit && showLink(state)
  );
  const [found, channels] = await Promise.all([
    whole("agents", "agents", tenant, MOST_AGENTS),
    whole("channels", "channels", tenant, MOST_AGENTS),
    showUsageOf(tenant, mine),
  ]);
  if (mine !== visit) return;
  for (const agent of found) agents.set(agent.id, agent);
  showAgents();
  showChannels(channels);
  listed = true;
  early.forEach(hear);
}

async function showUsageOf(tenant, mine) {
  const billing = await get("usage-metrics/billing", tenant);
  if (mine === visit) showUsage(billing);
}

async function refresh() {
  if (!document.hidden && live !== null && tenants.length > 0) await showUsageOf(at("tenant").value, visit);
}

function leave(words = null) {
  visit += 1;
  live?.close();
  live = null;
  at("house").hidden = true;
  at("entrance").hidden = false;
  at("entrance-fault").textContent = words ?? "";
  at("entrance-fault").hidden = words === null;
  at("sign-in").focus();
}

async function start() {
  at("sign-in").addEventListener("click", () => signIn().catch((fault) => leave(fault.message)));
  at("sign-out").addEventListener("click", () => {
    leave();
    signOut().catch(() => leave("Signed out here; the issuer could not be told."));
  });
  at("tenant").addEventListener("change", () => choose().catch(showFault));
  at("pause").addEventListener("click", () => {
    paused = !paused;
    at("pause").setAttribute("aria-pressed", String(paused));
    at("pause").textContent = paused ? "Go on" : "Pause";
  });
  at("filter").addEventListener("input", () => {
    for (const row of at("events").children) row.hidden = !matches(row);
  });
  setInterval(() => refresh().catch(showFault), USAGE_EVERY);
  try {
    await takeAnswer();
  } catch (fault) {
    leave(fault.message);
    return;
  }
  if (!isSignedIn()) leave();
  else await enter().catch(showFault);
}

start();
