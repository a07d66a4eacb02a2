// A client as one wants it in production: a key with each call, a deadline, and another try where nobody was there.
import { Code, ConnectError, createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-node"; // in a browser: @connectrpc/connect-web

import { BadRequestSchema, ErrorInfoSchema } from "../generated/google/rpc/error_details_pb.js";
import { AgentService } from "../generated/vouch/v1/agent_service_pb.js";

const TRIES = 4;
const FIRST_PAUSE = 50; // milliseconds, twice as long each time

/** Shows the key, where there is one. */
const withKey = (key: string): Interceptor => (next) => (request) => {
  if (key) request.header.set("x-api-key", key);
  return next(request);
};

/** Asks again what found nobody. A review that comes again with the same order gets the recorded answer. */
const again: Interceptor = (next) => async (request) => {
  for (let tries = 1; ; tries++) {
    try {
      return await next(request);
    } catch (error) {
      if (tries === TRIES || ConnectError.from(error).code !== Code.Unavailable) throw error;
      await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE * 2 ** (tries - 1)));
    }
  }
};

/** A client of the agent behind the edge; calls that take longer than `deadline` milliseconds end. */
export function connect(url: string, key = "", deadline = 5000): Client<typeof AgentService> {
  const transport = createGrpcWebTransport({
    baseUrl: url,
    httpVersion: "1.1",
    defaultTimeoutMs: deadline,
    interceptors: [again, withKey(key)],
  });
  return createClient(AgentService, transport);
}

/** Why a call was refused: the reason, and what is wrong with which field. */
export function problems(error: unknown): { reason: string; fields: Record<string, string> } {
  const refused = ConnectError.from(error);
  const reason = refused.findDetails(ErrorInfoSchema)[0]?.reason ?? Code[refused.code];
  const violations = refused.findDetails(BadRequestSchema).flatMap((found) => found.fieldViolations);
  return { reason, fields: Object.fromEntries(violations.map((one) => [one.field, one.description])) };
}
