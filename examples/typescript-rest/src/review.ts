// Review orders by REST, with types from the OpenAPI document: npm start [URL of the agent's REST] [API key]
import createClient from "openapi-fetch";

import type { components, paths } from "../generated/agent.js";

type Failure = components["schemas"]["Error"];

const [baseUrl = "http://localhost:8001", key = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: key ? { "x-api-key": key } : {} });

/** Returns the data of a response, or throws an error with its reason and request id. */
function unwrap<T>(answer: { data?: T; error?: Failure }): T {
  if (answer.data === undefined) {
    throw new Error(`${answer.error?.reason}: ${JSON.stringify(answer.error?.detail)} (${answer.error?.request_id})`);
  }
  return answer.data;
}

const order: components["schemas"]["TransactionRequest"] = {
  transaction_id: "example-ts-rest-1",
  timestamp: new Date().toISOString(),
  user_id: "u-7",
  order_amount: 299.99,
  new_device: true,
};
const decision = unwrap(await client.POST("/api/v1/review", { body: order }));
console.log(decision.decision, decision.transaction_id, decision.reasoning);

const batch = unwrap(await client.POST("/api/v1/review:batch", { body: { transactions: [order] } }));
if (typeof batch !== "string") console.log(batch.results.map((one) => one.status)); // a string would be JSON lines

const page = unwrap(await client.GET("/api/v1/cases", { params: { query: { status: "open", page_size: 5 } } }));
console.log(page.cases.length <= 5);

const { error } = await client.POST("/api/v1/review", { body: { ...order, order_amount: -1 } });
console.log(error?.reason, Array.isArray(error?.detail) && error.detail.map((problem) => problem.loc.join(".")));

const missing = await client.GET("/api/v1/cases/{case_id}", { params: { path: { case_id: "0".repeat(32) } } });
console.log(missing.error?.reason, missing.error?.request_id === missing.response.headers.get("x-request-id"));
