// Words at the side: what is wrong, and all that is known of what was chosen.  Whatever is mentioned is a link to it.
const LISTED = 50, STUCK_LISTED = 12;
let listed = LISTED; // of one list; more when they are asked for

function heading(parent, words) { make(parent, "h2", { tabindex: -1 }, words); }

function fact(parent, name, value) {
  if (value === null || value === undefined || value === "") return;
  const line = make(parent, "p", {});
  make(line, "span", { class: "soft" }, say(name) + ": ");
  make(line, "span", {}, value);
}

function link(parent, ref, words, looks = "") { return make(parent, "button", { type: "button", "data-ref": ref,
  class: looks }, words); }

// What is stuck first, and no more than can be looked through.
function some(parent, things, show) {
  const sorted = [...things].sort((a, b) => Boolean(b.bad) - Boolean(a.bad));
  sorted.slice(0, listed).forEach(show);
  if (sorted.length > listed)
    make(parent, "button", { type: "button", "data-more": "" }, say("more", sorted.length - listed));
}

function links(parent, things, words) {
  some(parent, things, thing => link(parent, thing.id, words(thing), thing.bad ? "stuck" : ""));
}

function findingLinks(parent, findings) {
  some(parent, findings, finding => link(parent, finding.id, findingWord(finding.kind) + ": " + finding.summary,
    STUCK.includes(finding.kind) ? "stuck" : ""));
}

const findingsOf = (model, kind) => model.snapshot.findings.filter(finding => finding.kind === kind);

const worstFirst = findings => [...findings].sort((a, b) => STUCK.includes(b.kind) - STUCK.includes(a.kind));

// ---- One of each ------------------------------------------------------------------------------------------------

function findingPage(page, finding, model) {
  heading(page, findingWord(finding.kind) + " (" + certaintyWord(finding.certainty) + ")");
  make(page, "p", { class: STUCK.includes(finding.kind) ? "stuck" : "" }, finding.summary);
  heading(page, say("proof"));
  for (const line of finding.proof.split("\n")) make(page, "p", {}, line);
  fact(page, "advice", finding.advice);
  fact(page, "address", finding.address);
  const objects = new Set(finding.waits.map(wait => model.at.get(wait.object)));
  objects.add(model.at.get(finding.object)).delete(undefined);
  links(page, [...new Set(finding.waits.map(wait => model.processes[wait.process]))], labelOf);
  links(page, [...objects], channelLabel);
}

function wayWords(member) {
  if (member.waits) return say("waits");
  if (member.opens) return say("opens", say(member.sends ? "reader" : "writer"));
  const way = member.sends && member.receives ? say("both") : member.sends ? say("sends") :
    member.receives ? say("receives") : say("has");
  return way + (member.mapped ? ", " + say("mapped") : "") + (member.inherited ? ", " + say("inherited") : "") +
    (member.fds.length ? ", fd " + member.fds.slice(0, 4).join(" ") + (member.fds.length > 4 ? "…" : "") : "");
}

function depthBar(parent, object) {
  if (object.depth === null || !object.capacity) return;
  make(parent, "meter", { min: 0, max: object.capacity, value: Math.min(object.depth, object.capacity),
    high: object.capacity * 0.9, "aria-label": say("bytes", object.depth, object.capacity) });
}

function processPage(page, process, model) {
  heading(page, labelOf(process));
  if (process.bad) make(page, "p", { class: "stuck" }, process.bad.what);
  findingLinks(page, worstFirst(process.findings));
  fact(page, "pid", process.pid);
  fact(page, "command", process.command);
  fact(page, "user", process.user ? process.user + " (" + process.uid + ")" : process.uid);
  const parent = model.processes.find(other => other.pid === process.parent);
  if (parent) link(page, parent.id, say("parent") + ": " + labelOf(parent));
  if (process.hidden) make(page, "p", { class: "soft" }, say("unseen"));
  if (process.namespaces.some(Boolean))
    fact(page, "spaces", say("spaceNames", ...process.namespaces.map(space => space ?? "?")));
  if (process.waits.length) heading(page, say("sleeps"));
  some(page, process.waits, wait => {
    const channel = model.at.get(wait.object);
    const words = waitWords(wait, model.at) + " (" + say("thread", wait.thread) + ")";
    if (channel) link(page, channel.id, words); else make(page, "p", {}, words);
  });
  const all = [...process.channels, ...process.own];
  if (all.length) heading(page, say("channels", all.length));
  some(page, all, channel => {
    link(page, channel.id, channelLabel(channel) + ": " + wayWords(channel.members.get(process.index)),
      channel.bad ? "stuck" : "");
    for (const object of channel.peer ? [channel.object, channel.peer] : [channel.object])
      if (object.depth > 0) depthBar(page, object);
  });
}

function objectFacts(page, object) {
  fact(page, "key", object.key);
  fact(page, "address", object.address);
  if (object.depth !== null || object.capacity !== null)
    fact(page, "holds", say("bytes", object.depth ?? "?", object.capacity ?? "?"));
  depthBar(page, object);
  fact(page, "messages", object.messages);
  fact(page, "state", object.flags.join(", ").replaceAll("_", " "));
  fact(page, "owner", object.uid);
  fact(page, "mode", object.mode === null ? null : "0" + (object.mode & 0o7777).toString(8));
  fact(page, "detail", object.detail);
  fact(page, "source", object.source + " (" + certaintyWord(object.certainty) + ")");
}

function channelPage(page, channel, model) {
  heading(page, channelLabel(channel));
  findingLinks(page, worstFirst(channel.findings));
  objectFacts(page, channel.object);
  if (channel.peer) {
    heading(page, say("peer") + " " + nameOf(channel.peer));
    objectFacts(page, channel.peer);
  }
  heading(page, say("who", channel.members.size));
  links(page, [...channel.members.keys()].map(index => model.processes[index]),
    process => labelOf(process) + ": " + wayWords(channel.members.get(process.index)));
}

function severalPage(page, thing) {
  heading(page, thing.from ? say("between", thing.from.label, thing.to.label) : thing.label + " " + thing.number);
  if (thing.key) make(page, "button", { type: "button", "data-open": thing.key }, say("each"));
  if (thing.processes) links(page, thing.processes, labelOf); else links(page, thing.channels, channelLabel);
}

function alonePage(page, alone) {
  heading(page, say("alone"));
  const unseen = alone.filter(process => process.hidden).length;
  if (unseen) make(page, "p", { class: "soft" }, say("unseenOf", unseen));
  links(page, alone, labelOf);
}

// ---- The panel --------------------------------------------------------------------------------------------------

// The page of a reference; false when there is no such thing any more.
function fillPage(page, ref, model, shown) {
  const thing = model.things.get(ref) || shown.things.get(ref);
  if (/^k\d+$/.test(ref)) {
    const findings = findingsOf(model, Number(ref.slice(1)));
    heading(page, say("counted", findings.length, findingWord(Number(ref.slice(1)))));
    findingLinks(page, findings);
  }
  else if (ref === "alone") alonePage(page, shown.alone);
  else if (!thing) return false;
  else if (ref[0] === "p") processPage(page, thing, model);
  else if (ref[0] === "o") channelPage(page, thing, model);
  else if (ref[0] === "f") findingPage(page, thing, model);
  else severalPage(page, thing);
  return true;
}

// In place of what was there, if it differs; who was at a button of it still is.
function replace(place, page) {
  const old = document.createElement("section");
  old.append(...[...place.childNodes].map(node => node.cloneNode(true)));
  if (old.isEqualNode(page)) return;
  const focus = place.contains(document.activeElement) ? document.activeElement.getAttribute("data-ref") : null;
  place.replaceChildren(...page.childNodes);
  if (focus) [...place.querySelectorAll("[data-ref]")].find(e => e.getAttribute("data-ref") === focus)?.focus();
}

function showFindings(model, shown, opened) {
  const page = document.createElement("section"), kinds = new Set(model.snapshot.findings.map(finding => finding.kind));
  const sorted = [...kinds].sort((a, b) => STUCK.includes(b) - STUCK.includes(a) || a - b);
  const words = kind => say("counted", findingsOf(model, kind).length, findingWord(kind));
  heading(page, sorted.map(words).join(", ") || say("fine"));
  for (const kind of sorted) {
    const all = findingsOf(model, kind), first = all.slice(0, STUCK.includes(kind) ? STUCK_LISTED : 0);
    findingLinks(page, first);
    if (all.length > first.length) link(page, "k" + kind, words(kind));
  }
  if (shown.alone.length) link(page, "alone", say("independent", shown.alone.length));
  if (opened.size) make(page, "button", { type: "button", "data-fold": "" }, say("fold"));
  replace($("findings"), page);
}

function showDetails(model, shown, ref, canGoBack) {
  const page = document.createElement("section");
  if (ref) {
    if (canGoBack) make(page, "button", { type: "button", "data-back": "", class: "back" }, "‹ " + say("back"));
    if (!fillPage(page, ref, model, shown)) make(page, "p", { class: "soft" }, say("gone"));
  }
  replace($("details"), page);
}
