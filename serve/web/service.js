// The service's routes. A key stays in this tab.

export const key = {
  get: () => sessionStorage.getItem("key") ?? "",
  set: (value) => sessionStorage.setItem("key", value),
};

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function send(method, path, body) {
  const headers = {};
  const file = body instanceof Blob;
  if (body !== undefined) {
    headers["content-type"] = file ? "application/octet-stream" : "application/json";
  }
  if (key.get()) headers.authorization = `Bearer ${key.get()}`;
  const sent = file || body === undefined ? body : JSON.stringify(body);
  const response = await fetch(path, { method, headers, body: sent });
  if (!response.ok) {
    const told = await response.json().catch(() => ({}));
    throw new Refused(response.status, told.detail ?? told.error?.message ?? response.statusText);
  }
  return response;
}

const at = (id, what) => `/v1/learners/${encodeURIComponent(id)}${what ? `/${what}` : ""}`;
const json = async (...request) => (await send(...request)).json();

export const models = async () => (await json("GET", "/v1/models")).data;
export const learners = async () => (await json("GET", "/v1/learners")).learners;
export const create = (id, model) => json("POST", "/v1/learners", { id, model });
export const take = (id, file) => json("POST", at(id, "import"), file);
export const learner = (id) => json("GET", at(id));
export const teach = (id, examples) => json("POST", at(id, "teach"), { examples });
export const relabel = (id, example, label) => json("POST", at(id, "relabel"), { example, label });
export const forget = (id, examples) => json("POST", at(id, "forget"), { examples });
export const undo = (id) => json("POST", at(id, "undo"), {});
export const suggest = async (id, inputs, count) =>
  (await json("POST", at(id, "suggest"), { inputs, count })).suggestions;
export const suspects = async (id) => (await json("GET", at(id, "suspects"))).suspects;
export const examples = async (id) => (await json("GET", at(id, "examples?limit=500"))).examples;
export const predict = async (id, inputs) =>
  (await json("POST", at(id, "predict"), { inputs, coverage: 0.8, false_accepts: 0.1 })).predictions;

/** Saves a file of the service. A link could not send the key. */
export async function save(id, kind) {
  const response = await send("GET", at(id, `export/${kind}`));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = `${id}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
