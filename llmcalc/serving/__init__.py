"""Serving engines: how a deployment starts, and the times and the price of its requests.

    Deployment (deployment.py)  a model on GPUs in an engine, which reading.py makes
    Start (start/start.py)      how it starts: memory, cache, log and refusals, which start/predict.py makes
    Service (service.py)        a model in an engine on GPUs, with the requests that are asked of it
    Replica (replicas.py)       a service on one layout: its steps, and the memory that its start leaves for requests
    Point (point.py)            a service on replicas with a number of requests: their times, throughput and price

The rule by which an engine divides its memory is one of the ``RULES`` in ``start/memory.py``, with constants in
``data/engines``. ``request_room`` (``request_times.py``) says how many requests fit, with what ``admission.py``
reserves for each; ``request_times.py`` how long they take, and ``money.py`` what they cost. A layout is refused by
``check_layout`` (``step/step_models.py``), by its kernels (``refusals`` of ``fitting/memory.py``), or by the engine
(``start/predict.py``), and a length of requests by ``engines/lengths.py``. If no layout is given, a start takes that of
``start/usual_layout.py``, and times take that of ``search/default_layout.py``, which begins with it.
"""
