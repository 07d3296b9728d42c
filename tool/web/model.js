// From a snapshot to processes and the channels between them.
// Every name that comes from the machine goes through textContent or setAttribute, never into markup.
const $ = id => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const STUCK = [1, 6];

// How a kind is drawn: its group (colour and dashes), its sign, and whether that is filled.
const KINDS = {
  pipe: ["pipe", "disc", true], fifo: ["pipe", "disc", false],
  unix: ["socket", "square", true], netlink: ["socket", "square", false], tcp: ["socket", "diamond", true],
  udp: ["socket", "diamond", false],
  msgq: ["queue", "triangle", true], mq: ["queue", "triangle", false],
  shm: ["memory", "hexagon", true], sysvshm: ["memory", "hexagon", false], memfd: ["memory", "bar", true],
  map: ["memory", "bar", false], channel: ["memory", "star", true], file: ["memory", "star", false],
  sem: ["sync", "funnel", true], sysvsem: ["sync", "funnel", false], lock: ["sync", "cross", true],
  futex: ["sync", "cross", false], eventfd: ["sync", "bolt", true], epoll: ["sync", "bolt", false],
  pty: ["other", "bar", true], process: ["other", "disc", true],
};
const SIGNS = {
  disc: "M4 0A4 4 0 1 1 -4 0A4 4 0 1 1 4 0Z", square: "M-3.6 -3.6H3.6V3.6H-3.6Z", diamond: "M0 -5L5 0L0 5L-5 0Z",
  triangle: "M0 -4.6L4.6 3.6H-4.6Z", funnel: "M0 4.6L4.6 -3.6H-4.6Z",
  hexagon: "M-2.4 -4.2H2.4L4.8 0L2.4 4.2H-2.4L-4.8 0Z",
  bar: "M-5 -2H5V2H-5Z", bolt: "M-2 -5L3.5 -1H-.5L2 5L-3.5 1H.5Z",
  star: "M0 -5L1.5 -1.6L5 -1.6L2.2 .8L3.2 4.6L0 2.4L-3.2 4.6L-2.2 .8L-5 -1.6L-1.5 -1.6Z",
  cross: "M-4 -2L-2 -4L0 -2L2 -4L4 -2L2 0L4 2L2 4L0 2L-2 4L-4 2L-2 0Z",
};

// Characters that cannot be seen, or that reorder others, as their numbers.
const clean = text => String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
  c => "\\u{" + c.codePointAt(0).toString(16) + "}");

function make(parent, name, attributes, text) {
  const element = parent instanceof SVGElement ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  if (text !== undefined) element.textContent = clean(text);
  parent.append(element);
  return element;
}

function kindOf(kind) { return KINDS[kind] || ["other", "square", false]; }

function drawSign(parent, kind, x, y, scale = 1) {
  const [, sign, filled] = kindOf(kind);
  make(parent, "path", { class: "sign" + (filled ? "" : " open"), d: SIGNS[sign],
    transform: `translate(${x} ${y}) scale(${scale})` });
}

function nameOf(object) { return object.name || "[" + object.key + "]"; }

function labelOf(process) { return process.name + " " + process.pid; }

function channelLabel(channel) { return channel.kind + " " + channel.name; }

// A socket and its peer are one channel.  Who sends on one side is heard on the other.  Who waits for what nobody has
// open (a semaphore) belongs to it, too.
function channelOf(object, peer, waiters) {
  const members = new Map(), nothing = { sends: false, receives: false, mapped: false, inherited: false };
  const add = end => {
    const member = members.get(end.process) || { ...nothing, inherited: true, fds: [] };
    member.sends = member.sends || end.sends;
    member.receives = member.receives || end.receives;
    member.mapped = member.mapped || end.mapped;
    member.opens = member.opens || end.waits_in_open;
    member.inherited = member.inherited && end.inherited;
    if (end.fd !== null) member.fds.push(end.fd);
    members.set(end.process, member);
  };
  object.ends.forEach(add);
  if (peer) peer.ends.forEach(add);
  for (const index of waiters) if (!members.has(index)) members.set(index, { ...nothing, waits: true, fds: [] });
  return { id: "o" + object.kind + ":" + object.key, object, peer, members, kind: object.kind, bad: null, findings: [],
    name: nameOf(object) };
}

// Who waits in open(2) has nobody at the other side yet, and is drawn with what is waited for.
function isAwaited(channel) { return [...channel.members.values()].some(member => member.opens); }

// Two who can only send have the same object, but say nothing to each other by it.
function connects(channel) {
  const members = [...channel.members.values()];
  if (isAwaited(channel)) return true;
  if (members.length < 2) return false;
  const one = way => members.every(member => member[way] && !member[way === "sends" ? "receives" : "sends"]);
  return channel.peer ? true : !one("sends") && !one("receives");
}

function waitWords(wait, at) {
  const channel = at.get(wait.object);
  return wait.operation + (channel ? " " + channelLabel(channel) : "") + (wait.detail ? " " + wait.detail : "");
}

function addFinding(model, finding) {
  finding.id = "f" + finding.kind + ":" + finding.summary;
  const stuck = STUCK.includes(finding.kind), own = model.at.get(finding.object);
  if (own && !own.findings.includes(finding)) own.findings.push(finding);
  for (const wait of finding.waits) {
    const channel = model.at.get(wait.object), process = model.processes[wait.process];
    if (!process.findings.includes(finding)) process.findings.push(finding);
    if (channel && !channel.findings.includes(finding)) channel.findings.push(finding);
    if (!stuck) continue;
    process.bad = process.bad || { finding, what: waitWords(wait, model.at) };
    if (channel) channel.bad = finding;
  }
}

function build(snapshot) {
  const objects = new Map(snapshot.objects.map(object => [object.index, object]));
  const processes = snapshot.processes.map((process, index) => ({ ...process, index, bad: null, channels: [], own: [],
    waits: [], findings: [], id: "p" + process.pid + ":" + process.start_time }));
  const waiters = new Map(); // by object
  const model = { snapshot, processes, channels: [], at: new Map(), things: new Map() };
  for (const wait of snapshot.waits) {
    processes[wait.process].waits.push(wait);
    waiters.set(wait.object, [...(waiters.get(wait.object) || []), wait.process]);
  }
  for (const object of snapshot.objects) {
    const peer = object.peer === null ? undefined : objects.get(object.peer);
    if (peer && peer.index < object.index && peer.peer === object.index) continue;
    const channel = channelOf(object, peer, waiters.get(object.index) || []), linked = connects(channel);
    model.at.set(object.index, channel);
    if (peer && !model.at.has(peer.index)) model.at.set(peer.index, channel);
    for (const index of channel.members.keys()) processes[index][linked ? "channels" : "own"].push(channel);
    if (linked) model.channels.push(channel);
    model.things.set(channel.id, channel);
  }
  for (const finding of snapshot.findings) {
    addFinding(model, finding);
    model.things.set(finding.id, finding);
  }
  for (const process of processes) model.things.set(process.id, process);
  return model;
}

function meant(process, word) {
  return String(process.pid) === word || process.name.toLowerCase().includes(word.toLowerCase());
}

// What is left by the filters: processes as a set of places, and channels.
function visible(model, filter) {
  const channels = model.channels.filter(channel => !filter.hidden.has(channel.kind));
  const ofUser = process => !filter.user || String(process.uid) === filter.user;
  const set = new Set(model.processes.filter(process => ofUser(process) && (!filter.process ||
    meant(process, filter.process)) && (!filter.bad || process.bad)).map(process => process.index));
  if (filter.process || filter.bad) {
    const asked = new Set(set);
    for (const channel of channels)
      if ([...channel.members.keys()].some(index => asked.has(index)))
        for (const index of channel.members.keys()) if (ofUser(model.processes[index])) set.add(index);
  }
  return { set, channels };
}
