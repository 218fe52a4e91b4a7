"""Results that are not quantities: what displays them, and of which of them the values have evidence.

``report/notebook.py`` displays results of quantities by their names, and ``analysis/evidence.py`` lists their values.
"""

from __future__ import annotations

from ..core.record import NamedTuple


class ResultClass(NamedTuple):
    """How a class of results is shown.

    Attributes:
        document: module and function in ``report`` that renders a result.
        module: module of the class, if its values have evidence.
        evidence: question and mode under which evidence lists the values.
        holds: attribute that is false if the answer is no, for the exit code of a command.
        spells: whether the report has command lines, which a function of changed settings returns.
    """

    document: str
    module: str = ""
    evidence: tuple[str, str] = ("", "")
    holds: str = ""
    spells: bool = False


RESULTS = {  # by name of the class
    "FitResult": ResultClass("fit.fit_document", "fitting.fit", ("fit", "")),
    "Start": ResultClass("serve.serve_document", "serving.start.start", ("serve", ""), "starts"),
    "ServingResult": ResultClass("serving.serving_document", "serving.result", ("serve", "requests"), "fits"),
    "EncoderServing": ResultClass(
        "encoder_serving.encoder_document", "serving.encoders", ("serve", "encoders"), "fits"
    ),
    "RlMemory": ResultClass("rl.rl_document", "training.rl", ("rl", ""), "fits", spells=True),
    "TrainingTime": ResultClass("training_step.step_document", "training.training_time", ("train", "step")),
    "TrainingPlan": ResultClass("plan.plan_document", "search.training_plan", ("plan", ""), holds="fits", spells=True),
    "Calibration": ResultClass("calibration.calibration_document", "serving.calibration", ("calibrate", "")),
    "Plan": ResultClass("scale.scale_document", "estimate.scaling.query", ("scale", "")),
    "Architecture": ResultClass("notebook.architecture_document"),
    "Checked": ResultClass("notebook.check_one_document"),
    "CheckedLog": ResultClass("check_log.check_log_document", holds="ok"),
    "Comparison": ResultClass("compare.compare_document"),
    "Design": ResultClass("design.design_document"),
    "Diff": ResultClass("compare.diff_document", holds="same"),
    "Evidence": ResultClass("evidence.evidence_document"),
    "Explanation": ResultClass("explain.explain_document"),
    "GpuSearch": ResultClass("find.find_gpus_document", holds="gpus"),
    "ModelSearch": ResultClass("find.find_models_document", holds="models"),
    "RecipeSearch": ResultClass("find.find_recipes_document", holds="best"),
    "ServingFront": ResultClass("serving_front.front_document", holds="points"),
    "ServingGpus": ResultClass("serving_gpus.serving_gpus_document", holds="best", spells=True),
    "ServingPools": ResultClass("serving_pools.pools_document", holds="layout"),
    "ServingSearch": ResultClass("serving_search.search_document", holds="is_found"),
    "Sweep": ResultClass("sweep.sweep_document"),
    "Verification": ResultClass("notebook.verification_document"),
}
