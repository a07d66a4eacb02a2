// Review an order: npm start [URL of the edge] [API key]
import { create } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";

import { Decision } from "../generated/vouch/v1/agent_service_pb.js";
import { DeviceType, TransactionSchema } from "../generated/vouch/v1/transaction_pb.js";
import { connect, problems } from "./client.js";

const [url = "http://localhost:8080", key = ""] = process.argv.slice(2);
const agent = connect(url, key);
const order = create(TransactionSchema, {
  transactionId: "example-ts-1",
  timestamp: timestampNow(),
  userId: "u-7",
  orderAmount: 299.99,
  deviceType: DeviceType.MOBILE,
  newDevice: true,
});

const answer = await agent.review({ transaction: order });
console.log(Decision[answer.decision], answer.legitimacyScore?.toFixed(3), answer.reasoning);

try {
  await agent.review({ transaction: { ...order, orderAmount: -1 } });
} catch (error) {
  console.log(problems(error));
}
