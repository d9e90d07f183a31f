import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import type { Checkpoint } from "../../models/index.ts";
import { createRng } from "../../util/index.ts";
import { almanacTemplates } from "../almanac-templates.ts";
import { defaultTemplates, type PromptTemplates } from "../prompts.ts";
import { endpointTeacher } from "./teacher.ts";

interface Asked {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: Record<string, unknown>;
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of request) text += piece;
  return text;
}

/** A server that answers with what `reply` says and remembers what it was asked. */
async function serve(
  reply: (asked: Asked, count: number) => { status?: number; json: unknown },
): Promise<{ url: string; asked: Asked[]; server: Server } & Disposable> {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const body = JSON.parse(await readBody(request)) as Record<string, unknown>;
    const entry = { path: request.url ?? "", authorization: request.headers.authorization, body };
    asked.push(entry);
    const { status = 200, json } = reply(entry, asked.length);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
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
const policyWith = (templates: PromptTemplates) => ({ checkpoint: null as unknown as Checkpoint, templates });

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

  test("that refuses, answers nonsense or is not there fails with its words", async () => {
    const ask = (url: string) =>
      endpointTeacher({ url, model: "m" })(policyWith(defaultTemplates), sources, 1, createRng(1));
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
