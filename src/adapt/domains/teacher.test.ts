import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import type { Engine } from "../../engine/index.ts";
import { createRng } from "../../util/index.ts";
import { almanacTemplates } from "../almanac-templates.ts";
import { defaultTemplates, type PromptTemplates } from "../prompts.ts";
import { type EndpointOptions, endpointTeacher } from "./teacher.ts";

interface Asked {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: Record<string, unknown>;
  /** When it came, by `Date.now()`. */
  readonly time: number;
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of request) text += piece;
  return text;
}

interface Reply {
  readonly status?: number;
  readonly retryAfter?: string;
  readonly json: unknown;
}

const abortAfter = (ms: number, reason: Error): AbortSignal => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), ms);
  return controller.signal;
};

/** A server that answers with what `reply` says and remembers what it was asked. */
async function serve(
  reply: (asked: Asked, count: number) => Reply | Promise<Reply>,
): Promise<{ url: string; asked: Asked[]; server: Server } & Disposable> {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const body = JSON.parse(await readBody(request)) as Record<string, unknown>;
    const time = Date.now();
    const entry = { path: request.url ?? "", authorization: request.headers.authorization, body, time };
    asked.push(entry);
    const { status = 200, retryAfter, json } = await reply(entry, asked.length);
    const headers = {
      "content-type": "application/json",
      ...(retryAfter !== undefined && { "retry-after": retryAfter }),
    };
    response.writeHead(status, headers).end(JSON.stringify(json));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${port}`, asked, server, [Symbol.dispose]: close };
}

const sources = [
  { id: "ann", title: "Ann", context: "Ann was born in Dover." },
  { id: "tom", title: "", context: "Tom plays the cello." },
];
/** The teacher never touches the policy's weights, only how it would have put the edit. */
const policyWith = (templates: PromptTemplates) => ({ engine: null as unknown as Engine, templates });

describe("a teacher behind an address", () => {
  test("is asked for each kind in turn, and its texts become completions of the policy's own prompt", async () => {
    using server = await serve(({ body }) => {
      const isQuestion = (body["prompt"] as string).endsWith("Question 1:");
      return {
        json: { choices: [{ text: isQuestion ? " Who?\nAnswer: Ann" : "Ann is from Dover.", finish_reason: "stop" }] },
      };
    });
    const teacher = endpointTeacher({ url: `${server.url}/v1`, model: "big", apiKey: "secret" });
    const edits = await teacher(policyWith(almanacTemplates), sources, 2, createRng(1));
    assert.deepEqual(
      edits.map((list) => list.map(({ kind, text, completion, prompt }) => [kind, text, completion, prompt])),
      sources.map(({ context }) => [
        ["implications", "Ann is from Dover.", " implications\nAnn is from Dover.", `Passage: ${context}\nSelf-edit:`],
        [
          "self-qa",
          "Question 1: Who?\nAnswer: Ann",
          " self-qa\nQuestion 1: Who?\nAnswer: Ann",
          `Passage: ${context}\nSelf-edit:`,
        ],
      ]),
    );
    const [first] = server.asked;
    assert.deepEqual([first?.path, first?.authorization], ["/v1/completions", "Bearer secret"]);
    assert.match(first?.body["prompt"] as string, /Ann was born in Dover\./);
    assert.equal(first?.body["model"], "big");
    const seeds = server.asked.map(({ body }) => body["seed"]);
    assert.equal(new Set(seeds).size, 4, "every sample has a seed of its own");
    await teacher(policyWith(almanacTemplates), sources, 2, createRng(1));
    assert.deepEqual(
      server.asked
        .slice(4)
        .map(({ body }) => body["seed"])
        .sort(),
      seeds.sort(),
      "and always the same",
    );
  });

  test("may be a chat resource; a cut answer counts as unfinished; a busy server is asked again", async () => {
    using server = await serve((_, count) =>
      count === 1
        ? { status: 503, json: { error: "busy" } }
        : { json: { choices: [{ message: { content: "Tom plays." }, finish_reason: "length" }] } },
    );
    const teacher = endpointTeacher({ url: `${server.url}/v1/chat/completions`, model: "m" });
    const [edit] = (await teacher(policyWith(defaultTemplates), [sources[1]!], 1, createRng(1))).flat();
    assert.deepEqual([edit?.isFinished, edit?.completion], [false, "Tom plays."]);
    assert.equal(server.asked.length, 2);
    assert.deepEqual(Object.keys(server.asked[0]!.body).includes("messages"), true);
  });

  const answer = { json: { choices: [{ text: "Tom plays.", finish_reason: "stop" }] } };
  const askFor = (url: string, more: Partial<EndpointOptions> = {}, signal?: AbortSignal) =>
    endpointTeacher({ url, model: "m", firstWaitMs: 1, ...more })(
      { ...policyWith(defaultTemplates), ...(signal && { signal }) },
      [sources[1]!],
      1,
      createRng(1),
    );

  test("is left alone for as many seconds as it asks", async () => {
    using server = await serve((_, count) =>
      count === 1 ? { status: 429, retryAfter: "1", json: { error: "slow down" } } : answer,
    );
    await askFor(server.url);
    const [first, second] = server.asked.map(({ time }) => time);
    assert.equal(server.asked.length, 2);
    assert.ok(second! - first! >= 999, `${second! - first!} ms`);
  });

  test("is left alone until the date that it names", async () => {
    let until = 0;
    using server = await serve((_, count) => {
      if (count > 1) return answer;
      until = 1000 * Math.ceil(Date.now() / 1000 + 1); // dates of HTTP have whole seconds
      return { status: 503, retryAfter: new Date(until).toUTCString(), json: { error: "busy" } };
    });
    await askFor(server.url);
    assert.equal(server.asked.length, 2);
    assert.ok(server.asked[1]!.time >= until - 1, `${server.asked[1]!.time - until} ms after it`);
  });

  test("that asks for too long a wait has failed, and one whose wait cannot be read is asked soon", async () => {
    using patient = await serve(() => ({ status: 429, retryAfter: "7200", json: { error: "quota" } }));
    await assert.rejects(askFor(patient.url), /HTTP 429: .*quota.*; it asks to wait 7200 s/);
    assert.equal(patient.asked.length, 1);
    using odd = await serve((_, count) => (count === 1 ? { status: 429, retryAfter: "soon", json: {} } : answer));
    await askFor(odd.url);
    assert.equal(odd.asked.length, 2);
  });

  test("is waited for no longer than the user does", async () => {
    using server = await serve(() => ({ status: 429, retryAfter: "60", json: {} }));
    const began = performance.now();
    const reason = new Error("enough");
    await assert.rejects(askFor(server.url, {}, abortAfter(200, reason)), (error) => error === reason);
    assert.ok(performance.now() - began < 10_000);
    assert.equal(server.asked.length, 1);
  });

  test("has no more requests under way than it may", async () => {
    let [underWay, most] = [0, 0];
    using server = await serve(async () => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setTimeout(resolve, 20));
      underWay--;
      return answer;
    });
    const teacher = endpointTeacher({ url: server.url, model: "m", maxConcurrent: 2 });
    const edits = await teacher(policyWith(defaultTemplates), sources, 4, createRng(1));
    assert.deepEqual([edits.flat().length, server.asked.length, most], [8, 8, 2]);
  });

  test("that refuses, answers nonsense or is not there fails with its words", async () => {
    const ask = (url: string) =>
      endpointTeacher({ url, model: "m", firstWaitMs: 1 })(policyWith(defaultTemplates), sources, 1, createRng(1));
    using refusing = await serve(() => ({ status: 401, json: { error: "no key" } }));
    await assert.rejects(ask(refusing.url), /HTTP 401: .*no key/);
    assert.ok(refusing.asked.length <= 2, "a refusal is not repeated");
    using odd = await serve(() => ({ json: { text: "?" } }));
    await assert.rejects(ask(odd.url), { code: "teacher-failed" });
    const { url } = odd;
    odd[Symbol.dispose]();
    await assert.rejects(ask(url), /no answer/);
    assert.throws(() => endpointTeacher({ url: "not an address", model: "m" }), { code: "bad-option" });
  });
});
