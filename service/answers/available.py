"""Whether an output of a prediction can be sent."""

from service.answers.records import PredictionRecord
from service.http.problems import UnknownResource
from service.results.available import check_expired, not_there


def check_predicted(record: PredictionRecord, output: str) -> None:
    """Raises Gone for an expired prediction, UnknownResource for an output that it was not asked for, and
    Pending or Unavailable unless it has succeeded."""
    check_expired(record, "prediction")
    if output not in record.outputs:
        raise UnknownResource(
            f"this prediction has {', '.join(record.outputs)}; name {output} in outputs when asking"
            " for one"
        )
    if record.state != "succeeded":
        raise not_there(
            record,
            ended=f"the prediction is {record.state}",
            pending="the prediction is not finished; ask again in {} s, or wait for it",
        )
