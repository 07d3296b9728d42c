// The picture itself.  What did not change is not drawn again, so that it keeps the focus and the pointer.
const drawn = new Map(); // by id: the element, and how it looks
const FADE = 400, WORDED = 80, CROWDED = 4;
let fading = false; // what comes and goes; in a picture that is drawn anew nothing does

function reasonOf(node) {
  const process = node.processes && node.processes[0];
  return process && process.bad ? process.bad.what : node.bad ? findingWord(node.bad.kind) : "";
}

// A finding, or what a process has of one.
function badness(bad) { return !bad ? "" : (bad.finding || bad).kind === STUCK[0] ? "bad" : "bad perhaps"; }

function bezier(a, b, c, d, t) {
  const s = 1 - t;
  return s * s * s * a + 3 * s * s * t * b + 3 * s * t * t * c + t * t * t * d;
}

// From the side of one box to the side of another; past the other boxes of a level in the gaps between its rows.
function lineOf(edge, shift) {
  let { from, to, forth, back } = edge;
  const side = arcSide(from, to);
  if (!side && from.x > to.x) [from, to, forth, back] = [to, from, back, forth];
  const out = side || 1, into = side || -1;
  const x1 = out > 0 ? from.x + from.w : from.x, x2 = into > 0 ? to.x + to.w : to.x;
  const y1 = from.y + LINE / 2 + shift, y2 = to.y + LINE / 2 + shift;
  const open1 = out > 0 ? from.right : from.left, open2 = into > 0 ? to.right : to.left;
  const bend = side ? ARC : Math.max(20, Math.abs(open2 - open1) / 2);
  const edgeOut = side > 0 ? Math.max(open1, open2) : Math.min(open1, open2);
  const c1 = side ? edgeOut + side * bend : open1 + bend, c2 = side ? edgeOut + side * bend : open2 - bend;
  const path = `M${x1} ${y1}H${open1}C${c1} ${y1} ${c2} ${y2} ${open2} ${y2}H${x2}`;
  const heads = [];
  if (forth) heads.push([x2, y2, into]);
  if (back) heads.push([x1, y1, out]);
  const at = t => ({ x: bezier(open1, c1, c2, open2, t), y: bezier(y1, y1, y2, y2, t) });
  const busy = neighboursOf(from).size - neighboursOf(to).size;
  return { path, heads, sign: at(busy > 2 ? 0.8 : busy < -2 ? 0.2 : 0.5), word: at(0.5) };
}

function edgeLook(edge, shift) {
  const line = lineOf(edge, shift), [group] = kindOf(edge.kind);
  const count = edge.channels.length > 1 ? " ×" + edge.channels.length : "";
  return { classes: ["edge", "g-" + group, badness(edge.bad), count ? "many" : ""], line, kind: edge.kind, count,
    word: edge.word || "", title: edge.channels.slice(0, 8).map(channelLabel).join("\n") +
      (edge.bad ? "\n" + edge.bad.summary : "") };
}

function fillEdge(g, look) {
  make(g, "title", {}, look.title);
  make(g, "path", { class: "wide", d: look.line.path });
  make(g, "path", { class: "line", d: look.line.path });
  for (const [x, y, way] of look.line.heads) make(g, "path", { class: "head", d: `M${x} ${y}l${way * 8} -4v8z` });
  drawSign(g, look.kind, look.line.sign.x, look.line.sign.y, look.count ? 1.2 : 1);
  if (look.word) make(g, "text", { class: "small", x: look.line.word.x, y: look.line.word.y - 6 }, look.word);
}

function nodeLook(node) {
  const reason = reasonOf(node), label = clean(node.label), room = node.w - 16 - (node.processes ? 0 : 14);
  const number = node.number, numberRoom = number ? widthOf(number, 11) + 6 : 0;
  const command = node.processes && !node.several ? "\n" + node.processes[0].command : "";
  return { classes: [node.processes ? "box" : "hub g-" + kindOf(node.kind)[0], badness(node.bad), node.several ?
    "several" : "", node.mark ? "mark" : ""], x: node.x, y: node.y, w: node.w, h: node.h, kind: node.kind || "",
    name: cut(label, room - numberRoom, 12), number,
    far: cut(label + (node.several ? " " + number : ""), room + 6, FAR_LETTERS),
    reason: cut(clean(reason), node.w - 12, REASON), unseen: node.processes && node.processes.some(p => p.hidden),
    elsewhere: node.elsewhere ? say("elsewhere", node.elsewhere) : "",
    title: node.label + " " + number + command + (reason ? "\n" + reason : "") };
}

function fillNode(g, look) {
  const text = look.kind ? 22 : 8;
  make(g, "title", {}, look.title);
  const size = { width: look.w, height: look.h, rx: look.kind ? 12 : 4 };
  if (look.classes.includes("several")) make(g, "rect", { ...size, class: "behind", x: look.x + 3, y: look.y + 3 });
  make(g, "rect", { ...size, class: look.unseen ? "unseen" : "", x: look.x, y: look.y });
  if (look.kind) drawSign(g, look.kind, look.x + 12, look.y + 12, 1.2);
  make(g, "text", { class: "name", x: look.x + text, y: look.y + 16 }, look.name);
  make(g, "text", { class: "far", x: look.x + text - 3, y: look.y + 18 }, look.far);
  if (look.number) make(g, "text", { class: "number", x: look.x + look.w - 8, y: look.y + 16 }, look.number);
  if (look.reason) make(g, "text", { class: "reason", x: look.x + 8, y: look.y + 32 }, look.reason);
  if (look.elsewhere) make(g, "text", { class: "small start", x: look.x + 8, y: look.y + LINE + 11 }, look.elsewhere);
}

// Changes only what looks otherwise than before.
function show(parent, id, look, fill, ref, label) {
  const key = JSON.stringify(look);
  let entry = drawn.get(id);
  if (!entry) {
    const g = make(parent, "g", { "data-id": id, "data-ref": ref });
    drawn.set(id, entry = { g, key: "", used: true });
    if (fading) {
      g.classList.add("fresh");
      setTimeout(() => g.classList.remove("fresh"), FADE);
    }
  }
  entry.used = true;
  if (entry.key === key) return entry.g;
  entry.key = key;
  entry.g.replaceChildren();
  entry.g.setAttribute("class", look.classes.filter(Boolean).join(" ") +
    (entry.g.classList.contains("fresh") ? " fresh" : ""));
  entry.g.setAttribute("data-ref", ref);
  if (label) { entry.g.setAttribute("role", "button"); entry.g.setAttribute("aria-label", clean(label)); }
  fill(entry.g, look);
  return entry.g;
}

function sweep() {
  for (const [id, entry] of drawn) {
    if (entry.used) { entry.used = false; continue; }
    drawn.delete(id);
    entry.g.removeAttribute("data-id");
    entry.g.classList.add("gone");
    if (fading) setTimeout(() => entry.g.remove(), FADE); else entry.g.remove();
  }
}

function refOf(thing) {
  if (thing.mark) return refOf(thing.mark);
  if (thing.several) return thing.id;
  if (thing.processes) return thing.processes[0].id;
  if (thing.channels) return thing.channels.length === 1 ? thing.channels[0].id : thing.id;
  return thing.channel.id;
}

// The kind beside an edge, where there is room for it: what stands in its way goes first.
function wordEdges(island) {
  if (island.nodes.some(node => neighboursOf(node).size > CROWDED)) return;
  const taken = island.nodes.map(node => ({ x: node.x - 2, y: node.y, w: node.w + 4, h: node.h }));
  for (const edge of island.edges.filter(edge => edge.from.processes && edge.to.processes).slice(0, WORDED)) {
    const words = edge.kind + (edge.channels.length > 1 ? " ×" + edge.channels.length : "");
    const { word } = lineOf(edge, edge.shift), w = widthOf(words, 10);
    const box = { x: word.x - w / 2, y: word.y - 16, w, h: 11 };
    if (taken.some(t => box.x < t.x + t.w && t.x < box.x + box.w && box.y < t.y + t.h && t.y < box.y + box.h)) continue;
    taken.push(box);
    edge.word = words;
  }
}

function drawIsland(island) {
  const between = new Map();
  for (const edge of island.edges) {
    const pair = edge.from.id + "|" + edge.to.id, place = between.get(pair) || 0;
    between.set(pair, place + 1);
    edge.shift = Math.max(-10, Math.min(10, place % 2 ? 5 * Math.ceil(place / 2) : -2.5 * place));
  }
  wordEdges(island);
  for (const edge of island.edges) show($("edges"), edge.id, edgeLook(edge, edge.shift), fillEdge, refOf(edge));
  for (const node of island.nodes) {
    const g = show($("nodes"), node.id, nodeLook(node), fillNode, refOf(node), node.label + " " + node.number +
      (node.bad ? ", " + findingWord((node.bad.finding || node.bad).kind) + ": " + reasonOf(node) : ""));
    g.setAttribute("tabindex", -1);
  }
  if (island.alike > 1)
    show($("nodes"), "t" + island.key, { classes: ["alike"], x: island.x, y: island.y + 11,
      words: say("alike", island.alike) }, (g, look) => make(g, "text", { class: "small start", x: look.x, y: look.y },
      look.words), "x" + island.key, say("alike", island.alike));
}

function drawPicture(islands, anew) {
  fading = !anew && !matchMedia("(prefers-reduced-motion: reduce)").matches;
  islands.forEach(drawIsland);
  sweep();
}

// What is chosen, and what the search has found: marks on what is drawn already.
function markPicture(islands, chosen, found) {
  const near = new Set();
  for (const thing of found || []) {
    near.add(thing);
    for (const end of thing.from ? [thing.from, thing.to] : []) near.add(end);
  }
  for (const thing of islands.flatMap(island => [...island.nodes, ...island.edges])) {
    const classes = drawn.get(thing.id).g.classList;
    classes.toggle("dim", found !== null && !near.has(thing));
    classes.toggle("found", found !== null && found.includes(thing));
    classes.toggle("chosen", chosen.some(ref => holds(thing, ref)));
  }
}

function holds(thing, ref) {
  return refOf(thing) === ref || thing.id === ref || (thing.processes || []).some(process => process.id === ref) ||
    [...(thing.channels || []), thing.channel].some(channel => channel && channel.id === ref);
}
