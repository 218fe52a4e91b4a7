"""Models outside the mainstream of language models: layer kinds, NumPy models and config readers, in rooms by subject.

Home (the rest of the package) contains

- every layer kind that a shipped preset uses;
- every text model that needs only these kinds;
- the vision encoders and composite models of LLaVA, PaliGemma, Gemma 3 and 4, Qwen-VL, Llama 3.2 and 4, Kimi,
  Mistral 3, Idefics 3 and SmolVLM, InternVL and GLM-4V, and vision-language models that need only a row of the table.

Everything else is here: ``audio`` (audio and speech), ``document`` (pages, boxes, OCR), ``vision`` (other vision
encoders and vision-language models) and ``research`` (text layers and models that no preset uses). No module outside
imports this package. Modules are found by name (``core/zoo_search.py``) through tables of families and encoders.
"""
