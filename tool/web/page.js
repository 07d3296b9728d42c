// What can be asked for, and what comes.
const COLOURS = ["auto", "light", "dark"], HISTORY = 50;
const filter = { hidden: new Set(), user: "", process: "", bad: false };
const opened = new Set(), memory = { nodes: new Map(), homes: new Map() }, trail = [];
let model = null, islands = [], shown = { alone: [], things: new Map() }, found = null, at = -1, chosen = "";
let colours = "auto", events = null, last = "", token = "";

// ---- The state, of which the address of the page is a copy --------------------------------------------------------

function writeState() {
  const state = new URLSearchParams();
  const put = (name, value) => { if (value) state.set(name, value); };
  put("search", $("search").value.trim());
  put("process", filter.process);
  put("user", filter.user);
  put("stuck", filter.bad ? "1" : "");
  put("hide", [...filter.hidden].sort().join());
  put("colours", colours === "auto" ? "" : colours);
  put("show", chosen);
  const hash = state.toString();
  history.replaceState(null, "", location.pathname + (hash ? "#" + hash : ""));
}

// The token stays in this tab: it goes neither into bookmarks nor into links that are handed on.
function readState() {
  const state = new URLSearchParams(location.hash.slice(1));
  if (state.get("token")) sessionStorage.setItem("token", state.get("token"));
  token = sessionStorage.getItem("token") || "";
  $("search").value = state.get("search") || "";
  $("process").value = filter.process = state.get("process") || "";
  $("bad").checked = filter.bad = state.get("stuck") === "1";
  filter.user = state.get("user") || "";
  filter.hidden = new Set((state.get("hide") || "").split(",").filter(Boolean));
  colours = COLOURS.includes(state.get("colours")) ? state.get("colours") : "auto";
  chosen = state.get("show") || "";
}

function setColours() {
  document.documentElement.dataset.colours = colours;
  $("theme").textContent = say("theme", say(colours));
}

// ---- Search -----------------------------------------------------------------------------------------------------

function wordsOf(thing) {
  const ofChannel = channel => [channel.kind, channel.name, channel.object, channel.peer].flatMap(part =>
    part && part.key !== undefined ? [part.key, part.name, part.address || ""] : [part || ""]);
  const channels = [...(thing.channels || []), ...(thing.channel ? [thing.channel] : [])];
  const processes = thing.processes || [];
  const ofProcess = process => [process.name, process.pid, process.command, ...process.own.flatMap(ofChannel)];
  return [...channels.flatMap(ofChannel), ...processes.flatMap(ofProcess)].join("\n").toLowerCase();
}

// Whom a reference means: of a finding those who wait, and for what.
function meantBy(ref) {
  const finding = ref[0] === "f" && model.things.get(ref);
  if (!finding) return ref ? [ref] : [];
  return finding.waits.map(wait => model.processes[wait.process].id).concat([...finding.waits.map(wait => wait.object),
    finding.object].filter(object => model.at.has(object)).map(object => model.at.get(object).id));
}

// Results in the order of reading: what is drawn, then what is folded, then who stands alone.
function search() {
  const word = $("search").value.trim().toLowerCase(), results = [];
  if (!model || !word) return null;
  const has = thing => wordsOf(thing).includes(word);
  for (const island of islands) {
    const nodes = island.nodes.filter(node => !node.mark && has(node));
    results.push(...nodes.map(node => ({ thing: node, box: node, ref: refOf(node) })));
    for (const edge of island.edges.filter(has)) results.push({ thing: edge, box: edge.from, ref: refOf(edge) });
    for (const node of (island.others || []).flatMap(other => other.nodes))
      if (has(node)) results.push({ thing: island.nodes[0], box: island.nodes[0], ref: refOf(node) });
  }
  results.sort((a, b) => a.box.y - b.box.y || a.box.x - b.box.x);
  for (const process of shown.alone) if (has({ processes: [process] })) results.push({ ref: process.id });
  return results;
}

function mark() {
  found = search();
  markPicture(islands, meantBy(chosen), found && found.map(result => result.thing).filter(Boolean));
  if (!found) at = -1;
  $("found").textContent = !found ? "" : !found.length ? say("noMatch") :
    say("matches", at < 0 ? "–" : at % found.length + 1, found.length);
}

function goToMatch(step) {
  if (!found || !found.length) return;
  at = (at < 0 ? (step > 0 ? 0 : found.length - 1) : at + step + found.length) % found.length;
  if (found[at].box) reveal(found[at].box);
  open(found[at].ref, false);
}

// ---- Drawing what there is ----------------------------------------------------------------------------------------

function draw() {
  if (!model) return;
  const graph = graphOf(model, filter, opened);
  islands = distinct(islandsOf(graph), opened);
  const next = layOut(islands, memory, roomOf());
  drawPicture(islands, !bounds.w);
  keepView(next);
  shown = { alone: graph.alone, things: new Map() };
  for (const thing of [...graph.nodes, ...graph.edges]) shown.things.set(thing.id, thing);
  $("empty").hidden = islands.length > 0;
  showFindings(model, shown, opened);
  showDetails(model, shown, chosen, trail.length > 0);
  mark();
}

// After a change of what is asked for, the places are given anew.
function drawAnew() {
  memory.nodes.clear();
  memory.homes.clear();
  bounds = { x: 0, y: 0, w: 0, h: 0 };
  draw();
  writeState();
}

function open(ref, show = true) {
  if (ref[0] === "x") { opened.add(ref.slice(1)); draw(); return; }
  if (ref !== chosen && chosen) trail.push(chosen);
  if (ref !== chosen) listed = LISTED;
  trail.splice(0, trail.length - HISTORY);
  chosen = ref;
  showDetails(model, shown, chosen, trail.length > 0);
  $("details").scrollIntoView({ block: "nearest" });
  mark();
  const refs = meantBy(ref), is = thing => refs.some(ref => holds(thing, ref));
  const node = islands.flatMap(island => island.nodes).find(node => !node.mark && is(node)) ||
    islands.flatMap(island => island.edges).find(is)?.from;
  if (show && node) reveal(node);
  writeState();
}

function clickPanel(event) {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.ref !== undefined) open(button.dataset.ref);
  if (button.dataset.open !== undefined) open("x" + button.dataset.open);
  if (button.dataset.more !== undefined) { listed *= 4; showDetails(model, shown, chosen, trail.length > 0); }
  if (button.dataset.fold !== undefined) { opened.clear(); drawAnew(); }
  if (button.dataset.back !== undefined) {
    chosen = "";
    open(trail.pop());
  }
  if (!button.isConnected) $("details").querySelector("h2")?.focus();
}

// '/' goes to the search; Escape ends it, and then what is chosen.
function pageKey(event) {
  const search = $("search");
  if (event.key === "/" && !event.target.matches("input, select")) { search.focus(); event.preventDefault(); }
  if (event.key !== "Escape") return;
  if (search.value) search.value = ""; else { chosen = ""; trail.length = 0; }
  draw();
  writeState();
}

// ---- What may be chosen -------------------------------------------------------------------------------------------

function offerKinds() {
  const counts = new Map(), page = document.createElement("section"), place = $("kinds");
  for (const channel of model.channels) counts.set(channel.kind, (counts.get(channel.kind) || 0) + 1);
  const kinds = [...new Set([...counts.keys(), ...filter.hidden])].sort();
  if (place.dataset.kinds !== kinds.join()) {
    place.dataset.kinds = kinds.join();
    for (const kind of kinds) {
      const label = make(page, "label", { class: "g-" + kindOf(kind)[0] });
      make(label, "input", { type: "checkbox", value: kind });
      const svg = document.createElementNS(SVG, "svg");
      svg.setAttribute("viewBox", "0 0 34 12");
      make(svg, "path", { class: "line", d: "M0 6H34" });
      drawSign(svg, kind, 17, 6);
      label.append(svg);
      make(label, "span", {});
    }
    place.replaceChildren(...page.childNodes);
  }
  for (const label of place.children) {
    const kind = label.querySelector("input").value;
    label.querySelector("input").checked = !filter.hidden.has(kind);
    label.querySelector("span").textContent = clean(kind) + " " + (counts.get(kind) || 0);
  }
}

function offerUsers() {
  const users = new Map([["", say("all")]]), place = $("user");
  for (const process of model.processes)
    if (process.uid !== null) users.set(String(process.uid), process.user || String(process.uid));
  if (filter.user && !users.has(filter.user)) users.set(filter.user, filter.user);
  const key = [...users].join();
  if (place.dataset.users === key) return;
  place.dataset.users = key;
  place.replaceChildren();
  for (const [uid, name] of users) make(place, "option", { value: uid }, name);
  place.value = filter.user;
}

function cover(snapshot) {
  const gaps = snapshot.gaps.map(gap => gap.what + " (" + gap.count + ", " + gap.why + ")").join(", ");
  const parts = [say("coverage", snapshot.processes.length, snapshot.objects_seen, snapshot.tier)];
  if (gaps) parts.push(say("notSeen", gaps));
  if (snapshot.objects.length < snapshot.objects_seen)
    parts.push(say("notShown", snapshot.objects_seen - snapshot.objects.length));
  $("coverage").textContent = clean(parts.join("; "));
}

// ---- The stream ---------------------------------------------------------------------------------------------------

function status(words, looks) {
  if ($("status").textContent !== words) $("status").textContent = words;
  $("status").className = looks;
  document.body.classList.toggle("lost", looks === "stuck");
}

function take(event) {
  model = build(JSON.parse(event.data));
  offerKinds();
  offerUsers();
  cover(model.snapshot);
  draw();
}

function alive() {
  last = new Date().toLocaleTimeString(KOREAN ? "ko" : []);
  $("time").textContent = say("asOf", last);
  status("", "");
}

function follow() {
  if (events) events.close();
  events = new EventSource("events?token=" + encodeURIComponent(token));
  events.addEventListener("message", event => { take(event); alive(); });
  events.addEventListener("alive", alive);
  events.addEventListener("error", () => {
    const refused = events.readyState === EventSource.CLOSED;
    status(refused ? say("refused") : say("lost", last || "–"), "stuck");
  });
}

// Nobody looks at a page that is hidden, so nothing is looked at for it.
function followWhileSeen() {
  if (!document.hidden) { follow(); return; }
  if (events) events.close();
  events = null;
}

function begin() {
  document.documentElement.lang = KOREAN ? "ko" : "en";
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of document.querySelectorAll("[data-hint]")) element.placeholder = say(element.dataset.hint);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
    if (element.matches("button, input")) element.title = say(element.dataset.label);
  }
  $("empty").textContent = say("nothing");
  status(say("waiting"), "soft");
  readState();
  writeState();
  setColours();
  watchPointers(() => islands.flatMap(island => island.nodes), ref => open(ref, false));
  $("search").addEventListener("input", () => { at = -1; mark(); writeState(); });
  $("search").addEventListener("keydown", event => { if (event.key === "Enter") goToMatch(event.shiftKey ? -1 : 1); });
  $("process").addEventListener("input", () => { filter.process = $("process").value.trim(); drawAnew(); });
  $("user").addEventListener("change", () => { filter.user = $("user").value; drawAnew(); });
  $("bad").addEventListener("change", () => { filter.bad = $("bad").checked; drawAnew(); });
  $("kinds").addEventListener("change", event => {
    if (event.target.checked) filter.hidden.delete(event.target.value); else filter.hidden.add(event.target.value);
    drawAnew();
  });
  $("arrange").addEventListener("click", drawAnew);
  $("theme").addEventListener("click", () => {
    colours = COLOURS[(COLOURS.indexOf(colours) + 1) % COLOURS.length];
    setColours();
    writeState();
  });
  document.querySelector("aside").addEventListener("click", clickPanel);
  document.addEventListener("keydown", pageKey);
  window.addEventListener("resize", () => { if (model && !view.free) showFirst(); else setView(); });
  window.addEventListener("hashchange", () => { readState(); setColours(); drawAnew(); follow(); });
  document.addEventListener("visibilitychange", followWhileSeen);
  followWhileSeen();
}

begin();
