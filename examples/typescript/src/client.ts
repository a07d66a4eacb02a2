// A client for production: an API key, a deadline, and retries while the service is unavailable.
import { Code, ConnectError, createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-node"; // in a browser: @connectrpc/connect-web

import { BadRequestSchema, ErrorInfoSchema } from "../generated/google/rpc/error_details_pb.js";
import { AgentService } from "../generated/vouch/v1/agent_service_pb.js";

const MAX_ATTEMPTS = 4;
const FIRST_PAUSE = 50; // milliseconds, doubled after each attempt

/** Adds the API key, if there is one. */
const withKey = (key: string): Interceptor => (next) => (request) => {
  if (key) request.header.set("x-api-key", key);
  return next(request);
};

/** Retries calls that found the service unavailable. A review is idempotent: the same order gets the recorded response. */
const retry: Interceptor = (next) => async (request) => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await next(request);
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || ConnectError.from(error).code !== Code.Unavailable) throw error;
      await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE * 2 ** (attempt - 1)));
    }
  }
};

/** Returns a client of the agent, over the edge. Calls are cancelled after `deadline` milliseconds. */
export function connect(url: string, key = "", deadline = 5000): Client<typeof AgentService> {
  const transport = createGrpcWebTransport({
    baseUrl: url,
    httpVersion: "1.1",
    defaultTimeoutMs: deadline,
    interceptors: [retry, withKey(key)],
  });
  return createClient(AgentService, transport);
}

/** Returns why a call failed: the reason, and the problem of each invalid field. */
export function problems(error: unknown): { reason: string; fields: Record<string, string> } {
  const refused = ConnectError.from(error);
  const reason = refused.findDetails(ErrorInfoSchema)[0]?.reason ?? Code[refused.code];
  const violations = refused.findDetails(BadRequestSchema).flatMap((found) => found.fieldViolations);
  return { reason, fields: Object.fromEntries(violations.map((one) => [one.field, one.description])) };
}
