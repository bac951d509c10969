// The page: which learner, what it says, and what it is taught.

import * as service from "/page/service.js";
import * as inputs from "/page/inputs.js";
import { draw } from "/page/map.js";

const $ = (id) => document.getElementById(id);
let id = null;
let classes = [];
let turn = 0;

function say(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

/** Runs work, and tells what is in its way. */
async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (error.status === 401) {
      $("key-form").hidden = false;
      $("key").focus();
    }
    say(error.message, true);
  }
}

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

function button(text, press) {
  const made = element("button", text);
  made.type = "button";
  made.addEventListener("click", () => attempt(press));
  return made;
}

/** A name for the learner of a file, which none of the learners has. */
function free(file) {
  const plain = file.toLowerCase().replace(/\.learner$/, "").replace(/[^a-z0-9_-]+/g, "-");
  const name = plain.slice(0, 58) || "imported";
  const taken = new Set([...$("learner").options].map((option) => option.value));
  let free = name;
  for (let n = 2; taken.has(free); n++) free = `${name}-${n}`;
  return free;
}

function shown(text) {
  if (text?.startsWith("data:image/")) {
    const image = element("img");
    image.src = text;
    image.alt = "an image";
    return image;
  }
  return element("span", text ?? "(not kept)");
}

async function start(choose) {
  const [models, learners] = await Promise.all([service.models(), service.learners()]);
  $("model").replaceChildren(
    ...models.map((model) => new Option(`${model.id} (${model.reads})`, model.id)),
  );
  const usable = learners.filter((learner) => !learner.problem);
  $("learner").replaceChildren(...usable.map((learner) => new Option(learner.id, learner.id)));
  $("key-form").hidden = true;
  $("create").hidden = usable.length > 0;
  $("main").hidden = usable.length === 0;
  if (!usable.length) {
    say("Make a learner to begin.");
    return;
  }
  const wanted = choose ?? localStorage.getItem("learner");
  const found = usable.find((learner) => learner.id === wanted) ?? usable[0];
  $("learner").value = found.id;
  await open(found.id);
}

async function open(which) {
  id = which;
  localStorage.setItem("learner", id);
  const learner = await service.learner(id);
  inputs.setUp(learner.reads, predict);
  say(`${learner.id}: taught on ${learner.model}, which reads ${learner.reads}.`);
  await refresh();
}

/** Everything that follows from the examples. */
async function refresh() {
  const [learner, examples] = await Promise.all([service.learner(id), service.examples(id)]);
  classes = learner.classes.map((one) => one.label);
  $("classes").replaceChildren(
    ...learner.classes.map((one) => button(`${one.label} (${one.examples})`, () => teach(one.label))),
  );
  draw($("map"), $("legend"), examples, classes);
  $("examples").replaceChildren(
    ...examples.map((example) => {
      const choice = element("select", ...classes.map((label) => new Option(label, label)));
      choice.value = example.label ?? "";
      choice.setAttribute("aria-label", `class of example ${example.example}`);
      choice.addEventListener("change", () =>
        attempt(async () => {
          await service.relabel(id, example.example, choice.value);
          await refresh();
        }),
      );
      const forget = button("Forget", async () => {
        await service.forget(id, [example.example]);
        say("Forgotten for ever.");
        await refresh();
      });
      return element("li", shown(example.text), choice, forget);
    }),
  );
  const enough = classes.length > 1;
  const suspects = enough && learner.examples > 3 ? await service.suspects(id) : [];
  const of = new Map(examples.map((example) => [example.example, example]));
  $("suspects").replaceChildren(
    ...suspects.map((suspect) => {
      const percent = Math.round(100 * suspect.suggested_probability);
      const text = `taught as ${suspect.label}, rather ${suspect.suggested} (${percent} %)`;
      const right = button(`Make it ${suspect.suggested}`, async () => {
        await service.relabel(id, suspect.example, suspect.suggested);
        await refresh();
      });
      return element("li", shown(of.get(suspect.example)?.text), element("span", text), right);
    }),
  );
  if (!suspects.length) $("suspects").append(element("li", "none"));
  await predict();
}

/** What the learner says of the first input. */
async function predict() {
  const [first] = inputs.current();
  const mine = ++turn;
  $("verdict").classList.remove("unsure");
  if (!first || classes.length < 2) {
    $("verdict").textContent = classes.length < 2 ? "Teach two classes first." : "Give an input.";
    $("bars").replaceChildren();
    return;
  }
  const predictions = await attempt(() => service.predict(id, [first.input]));
  // A later input was faster.
  if (!predictions || mine !== turn) return;
  const [said] = predictions;
  const doubt = [];
  if (said.known === false) doubt.push("it may be of no class");
  if (said.set?.length > 1) doubt.push(`it may be ${said.set.join(" or ")}`);
  $("verdict").textContent = doubt.length ? `Not sure: ${doubt.join("; ")}` : said.label;
  $("verdict").classList.toggle("unsure", doubt.length > 0);
  const sorted = Object.entries(said.probabilities).sort((a, b) => b[1] - a[1]).slice(0, 8);
  $("bars").replaceChildren(
    ...sorted.map(([label, probability]) => {
      const bar = element("progress");
      bar.max = 1;
      bar.value = probability;
      bar.setAttribute("aria-label", label);
      return element("li", element("span", label), bar, `${Math.round(100 * probability)} %`);
    }),
  );
}

async function teach(label) {
  const given = inputs.current();
  if (!given.length) return say("There is no input to teach.", true);
  const examples = given.map(({ input, shown }) => ({ ...input, shown, label }));
  await service.teach(id, examples);
  say(`Taught ${examples.length} as ${label}.`);
  inputs.empty();
  await refresh();
}

$("class-form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    await teach($("class").value.trim());
    $("class").value = "";
  });
});
$("create").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const name = $("name").value;
    await service.create(name, $("model").value);
    $("name").value = "";
    await start(name);
  });
});
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  service.key.set($("key").value);
  attempt(() => start());
});
$("new").addEventListener("click", () => {
  $("create").hidden = !$("create").hidden;
  if (!$("create").hidden) $("name").focus();
});
$("learner").addEventListener("change", (event) => attempt(() => open(event.target.value)));
$("undo").addEventListener("click", () =>
  attempt(async () => {
    const { undone, examples } = await service.undo(id);
    say(`Took back: ${undone}, ${examples} examples.`);
    await refresh();
  }),
);
for (const [link, kind] of [["head", "head"], ["onnx", "onnx"], ["export-learner", "learner"]]) {
  $(link).href = "#";
  $(link).addEventListener("click", (event) => {
    event.preventDefault();
    attempt(() => service.save(id, kind));
  });
}
for (const choose of document.querySelectorAll("button.import")) {
  choose.addEventListener("click", () => $("import-file").click());
}
$("import-file").addEventListener("change", () =>
  attempt(async () => {
    const [file] = $("import-file").files;
    if (!file) return;
    const name = free(file.name);
    $("import-file").value = "";
    say(`Importing ${file.name} …`);
    await service.take(name, file);
    await start(name);
  }),
);
$("suggest").addEventListener("click", () =>
  attempt(async () => {
    const given = inputs.current();
    if (!given.length || classes.length < 2) return say("Give several inputs first.", true);
    const found = await service.suggest(id, given.map((one) => one.input), 5);
    $("suggestions").replaceChildren(
      ...found.map((one) => element("li", shown(given[one.input].shown), ` (perhaps ${one.label})`)),
    );
  }),
);
attempt(() => start());
