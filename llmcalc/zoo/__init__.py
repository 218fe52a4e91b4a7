"""Packages for less common models, grouped by subject, with layer kinds, NumPy models and config readers.

The main package contains

- every layer kind that a shipped preset uses;
- every text model that needs only these kinds;
- the vision encoders and composite models of LLaVA, PaliGemma, Gemma 3 and 4, Qwen-VL, Llama 3.2 and 4, Kimi,
  Mistral 3, Idefics 3 and SmolVLM, InternVL and GLM-4V, and vision-language models described by a table row.

The zoo contains all other models: ``audio`` (audio and speech), ``document`` (pages, boxes, OCR), ``vision``
(other vision encoders and vision-language models) and ``research`` (text layers and models that no preset
uses). The main package does not import the zoo. ``core/zoo_search.py`` finds zoo modules by name.
"""
