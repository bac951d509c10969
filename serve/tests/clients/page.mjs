// The page in a headless Chromium, at the size of a desktop and of a phone, in light and dark:
// classes are taught by texts and by images, asked for, undone, and there after a reload; nothing
// is said on the console, asked of elsewhere, too wide, or found by axe.
//   npm i playwright-core axe-core
//   CHROMIUM=/usr/bin/chromium node page.mjs http://127.0.0.1:8080 [FOLDER_OF_SCREENSHOTS]
// The service needs a bundle that reads texts and one that reads images.
import assert from "node:assert";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [base, folder] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox"],
});
const sizes = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };
const wrong = [];

async function opened(options) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("request", (request) => {
    const known = [base, "data:", "blob:"].some((start) => request.url().startsWith(start));
    if (!known) wrong.push(`asked of elsewhere: ${request.url()}`);
  });
  return page;
}

/** Waits until the page says that. */
const says = (page, start) =>
  page.waitForFunction(
    (start) => document.getElementById("status").textContent.startsWith(start),
    start,
  );
const count = (page, selector, n) =>
  page.waitForFunction(
    ([selector, n]) => document.querySelectorAll(selector).length === n,
    [selector, n],
  );

/** Makes a learner of this name, or of one like it, and gives its name. */
async function create(page, wanted, model) {
  await page.waitForFunction(() => document.getElementById("status").textContent !== "");
  const taken = await page.locator("#learner option").allTextContents();
  const name = taken.includes(wanted) ? `${wanted}-${Date.now()}` : wanted;
  if (await page.locator("#create").isHidden()) await page.click("#new");
  await page.fill("#name", name);
  await page.selectOption("#model", model);
  await page.click("#create button");
  await says(page, `${name}: taught on ${model}`);
  return name;
}

async function teach(page, label, n) {
  await page.fill("#class", label);
  await page.click("#class-form button");
  await says(page, `Taught ${n} as ${label}.`);
  await page.locator("#classes button", { hasText: `${label} (${n})` }).waitFor();
}

/** The class that the learner finds most probable, once it has said so of this input. */
async function first(page) {
  await page.locator("#bars li").first().waitFor();
  return page.locator("#bars li span").first().innerText();
}

/** Undoing takes the last class back, and what is left is there after a reload. */
async function undone(page, name, left) {
  await page.click("#undo");
  await says(page, "Took back: ");
  await count(page, "#classes button", 2);
  await count(page, "#examples li", left);
  await page.reload();
  await says(page, `${name}: `);
  await count(page, "#examples li", left);
  await count(page, "#map circle", left);
  assert.equal(await page.locator("#classes button").count(), 2);
}

/** What a person without sight, with a phone or at night would stumble over. */
async function judged(name) {
  for (const [size, viewport] of Object.entries(sizes)) {
    for (const colorScheme of ["light", "dark"]) {
      // The policy of the page lets no script of others in, axe included.
      const page = await opened({ bypassCSP: true, viewport, colorScheme });
      await page.addInitScript((name) => localStorage.setItem("learner", name), name);
      await page.goto(base);
      await says(page, `${name}: `);
      await page.locator("#examples li").first().waitFor();
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run());
      for (const { id, nodes } of violations) {
        wrong.push(`${name} ${size} ${colorScheme}: ${id} at ${nodes[0].target}`);
      }
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (over > 0) wrong.push(`${name} ${size}: ${over} pixels too wide`);
      if (folder) {
        await page.screenshot({ path: `${folder}/${name}-${size}-${colorScheme}.png`, fullPage: true });
      }
      await page.context().close();
    }
  }
}

/** A learner that was exported comes back under another name, and the first is as it was. */
async function imported(page, name, path) {
  const [chooser] = await Promise.all([
    page.waitForEvent("filechooser"),
    page.locator("main button.import").press("Enter"),
  ]);
  await chooser.setFiles({ name: `${name}.learner`, mimeType: "", buffer: await readFile(path) });
  await says(page, `${name}-2: taught on `);
  await count(page, "#examples li", 12);
  assert.equal(await page.locator("#classes button").count(), 3);
  // It is a learner of its own: here the last update is still there to be undone.
  await page.click("#undo");
  await says(page, "Took back: teach");
  await count(page, "#examples li", 8);
  await page.selectOption("#learner", name);
  await says(page, `${name}: taught on `);
  await count(page, "#examples li", 8);
  // What is no learner is refused aloud, and nothing changes.
  await page.setInputFiles("#import-file", { name: "Some File.txt", mimeType: "text/plain", buffer: Buffer.from("no") });
  await page.waitForFunction(() => document.getElementById("status").textContent.includes("not a usable learner"));
  assert(!(await page.locator("#learner option").allTextContents()).includes("some-file-txt"));
  // The browser tells of it too.
  wrong.splice(0, wrong.length, ...wrong.filter((text) => !text.includes("a status of 400")));
}

const texts = {
  film: ["a moving film", "the actors were great", "a dull plot", "best movie of the year"],
  story: [
    "two brothers return to their village",
    "a detective hunts a killer through the city",
    "a girl finds a map and sets out to sea",
    "soldiers are lost behind the lines",
  ],
  praise: ["wonderful and warm", "a triumph", "splendid, touching, funny", "pure joy"],
};

async function byTexts(page, model) {
  const name = await create(page, "films", model);
  for (const [label, lines] of Object.entries(texts)) {
    await page.fill("#text", lines.join("\n"));
    await teach(page, label, lines.length);
  }
  await count(page, "#map circle", 12);
  assert.equal(await page.locator("#legend li").count(), 3);
  // A text that was taught, so that what is right does not hang on the encoder.
  await page.fill("#text", texts.story[1]);
  assert.equal(await first(page), "story");
  await page.fill("#text", ["a thief crosses the desert", "a dull film", "so funny"].join("\n"));
  await page.click("#suggest");
  await page.locator("#suggestions li").first().waitFor();
  if (folder) await page.screenshot({ path: `${folder}/taught.png`, fullPage: true });
  for (const kind of ["head", "onnx"]) {
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(`#${kind}`)]);
    assert.equal(download.suggestedFilename(), `${name}.${kind}`);
    assert((await readFile(await download.path())).length > 1000, kind);
  }
  const [file] = await Promise.all([page.waitForEvent("download"), page.click("#export-learner")]);
  assert.equal(file.suggestedFilename(), `${name}.learner`);
  await undone(page, name, 8);
  await imported(page, name, await file.path());
  // By keyboard alone: one more of a class that is there.
  await page.locator("#text").focus();
  await page.keyboard.type("the cast is superb");
  await first(page);
  await page.locator("#classes button", { hasText: "film" }).focus();
  await page.keyboard.press("Enter");
  await says(page, "Taught 1 as film.");
  await count(page, "#examples li", 9);
  await page.locator("#examples button", { hasText: "Forget" }).first().click();
  await says(page, "Forgotten for ever.");
  await count(page, "#examples li", 8);
  return name;
}

/** A picture of a class as PNG: a bar, a frame or a cross, never twice in the same place. */
const picture = (page, label, n) =>
  page.evaluate(
    ([label, n]) => {
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = 56;
      const pen = canvas.getContext("2d");
      pen.fillRect(0, 0, 56, 56);
      pen.strokeStyle = pen.fillStyle = "#fff";
      pen.lineWidth = 8;
      const [x, y] = [8 + (n * 5) % 9, 8 + (n * 3) % 7];
      if (label === "bar") pen.fillRect(x + 8, y, 14, 38);
      if (label === "frame") pen.strokeRect(x, y, 30, 30);
      if (label === "cross") {
        pen.fillRect(x, y + 14, 36, 8);
        pen.fillRect(x + 14, y, 8, 36);
      }
      return canvas.toDataURL("image/png").split(",")[1];
    },
    [label, n],
  );

async function give(page, label, numbers) {
  const files = [];
  for (const n of numbers) {
    const buffer = Buffer.from(await picture(page, label, n), "base64");
    files.push({ name: `${label}-${n}.png`, mimeType: "image/png", buffer });
  }
  await page.setInputFiles("#files", files);
  await page.waitForFunction(
    (n) => document.getElementById("loaded").textContent === `${n} inputs from files`,
    files.length,
  );
}

async function byImages(page, model) {
  const name = await create(page, "shapes", model);
  for (const label of ["bar", "frame", "cross"]) {
    await give(page, label, [0, 1, 2, 3, 4]);
    await teach(page, label, 5);
  }
  for (const label of ["frame", "bar", "cross"]) {
    await page.click("#clear");
    await count(page, "#bars li", 0);
    await give(page, label, [7]);
    assert.equal(await first(page), label);
  }
  // Drawn by hand.
  await page.click("#clear");
  await count(page, "#bars li", 0);
  const { x, y } = await page.locator("#canvas").boundingBox();
  await page.mouse.move(x + 40, y + 40);
  await page.mouse.down();
  await page.mouse.move(x + 150, y + 150, { steps: 20 });
  await page.mouse.up();
  await first(page);
  await undone(page, name, 10);
  const shown = await page.locator("#examples img").evaluateAll((all) =>
    all.filter((image) => image.complete && image.naturalWidth > 0).length,
  );
  assert.equal(shown, 10);
  return name;
}

const page = await opened({ viewport: sizes.desktop });
await page.goto(base);
const { data: models } = await page.evaluate(() => fetch("/v1/models").then((a) => a.json()));
for (const [reads, teaching] of [["text", byTexts], ["image", byImages]]) {
  const model = models.find((model) => model.reads === reads);
  assert(model, `no bundle here reads ${reads}`);
  await judged(await teaching(page, model.id));
}
await browser.close();
assert.deepEqual(wrong, []);
console.log("the page works");
