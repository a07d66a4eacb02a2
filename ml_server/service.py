"""ScoringService: the thin gRPC edge around the scorer."""

from typing import Any

import grpc

from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from ml_server.artifacts import Model
from ml_server.scorer import Scorer
from runtime.errors import Unavailable, Unimplemented

Context = grpc.aio.ServicerContext[Any, Any]


class ScoringService:
    """Answers with the scorer it holds; UNAVAILABLE while it holds none."""

    def __init__(self) -> None:
        self._scorer: Scorer | None = None

    def serve(self, model: Model) -> None:
        """Answer with this model from now on."""
        self._scorer = Scorer(model)

    def _ready(self) -> Scorer:
        if self._scorer is None:
            raise Unavailable(
                "the scorer has no model: run `vouch train`", reason=ErrorReason.ERROR_REASON_MODEL_NOT_LOADED
            )
        return self._scorer

    async def Predict(self, request: pb.PredictRequest, context: Context) -> pb.PredictResponse:
        """Score one transaction."""
        return self._ready().predict(request.transaction, request.explain)

    async def PredictBatch(self, request: pb.PredictBatchRequest, context: Context) -> pb.PredictBatchResponse:
        """Score many transactions."""
        raise Unimplemented("PredictBatch is not served yet", method="/vouch.v1.ScoringService/PredictBatch")

    async def GetModelInfo(self, request: pb.GetModelInfoRequest, context: Context) -> pb.GetModelInfoResponse:
        """Describe the model that is serving."""
        return model_info(self._ready().model)


def model_info(model: Model) -> pb.GetModelInfoResponse:
    """What the metadata says of a model."""
    metadata = model.metadata
    response = pb.GetModelInfoResponse(
        model_version=model.version,
        n_features=len(model.features.names),
        feature_names=model.features.names,
        model_classes=model.classes.names,
        metrics=metadata["metrics"],
        dataset=pb.Dataset(**metadata["dataset"]),
    )
    response.training_date.FromJsonString(metadata["training_date"])
    return response
