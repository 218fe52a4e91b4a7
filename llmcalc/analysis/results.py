"""Results that are not quantities: what displays them, and of which of them the values have evidence.

``report/notebook.py`` displays results of quantities by their names, and ``analysis/evidence.py`` lists their values.
"""

from __future__ import annotations

from typing import NamedTuple


class Shown(NamedTuple):
    """How a class of results is shown.

    Attributes:
        document: module and function in ``report`` that renders a result.
        module: module of the class, if its values have evidence.
        evidence: question and mode under which evidence lists the values.
    """

    document: str
    module: str = ""
    evidence: tuple[str, str] = ("", "")


RESULTS = {  # by name of the class
    "FitResult": Shown("fit.fit_document", "fitting.fit", ("fit", "")),
    "ServeResult": Shown("serve.serve_document", "serving.start.start", ("serve", "")),
    "ServingResult": Shown("serving.serving_document", "serving.result", ("serve", "requests")),
    "EncoderServing": Shown("encoder_serving.encoder_document", "serving.encoders", ("serve", "encoders")),
    "RlMemory": Shown("rl.rl_document", "training.rl", ("rl", "")),
    "Calibration": Shown("calibration.calibration_document", "serving.calibration", ("calibrate", "")),
    "Plan": Shown("scale.scale_document", "estimate.scaling.query", ("scale", "")),
    "Architecture": Shown("notebook.architecture_document"),
    "Checked": Shown("notebook.check_one_document"),
    "CheckedLog": Shown("check_log.check_log_document"),
    "Comparison": Shown("compare.compare_document"),
    "Design": Shown("design.design_document"),
    "Diff": Shown("compare.diff_document"),
    "Evidence": Shown("evidence.evidence_document"),
    "Explanation": Shown("explain.explain_document"),
    "GpuSearch": Shown("find.find_gpus_document"),
    "ModelSearch": Shown("find.find_models_document"),
    "RecipeSearch": Shown("find.find_recipes_document"),
    "ServingFront": Shown("serving_front.front_document"),
    "ServingGpus": Shown("serving_gpus.serving_gpus_document"),
    "ServingPools": Shown("serving_pools.pools_document"),
    "ServingSearch": Shown("serving_search.search_document"),
    "Sweep": Shown("sweep.sweep_document"),
    "Verification": Shown("notebook.verification_document"),
}
