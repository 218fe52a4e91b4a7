"""Parts that text does not run, whose tensors have the names of their modules."""


def beside(stack: str, place: str) -> str:
    """The rules for a part, by its stack's name, whose modules stand at ``place``."""
    name, ending = f"{place}{{n}}", f"| {stack}"
    return f"""
{name}.weight <- outputs/stored.w {ending}
{name}.bias <- outputs/stored.b {ending}
{name} <- outputs/stored.t {ending}
{name}.parametrizations.weight.original0 <- outputs/stored.g {ending}
{name}.parametrizations.weight.original1 <- outputs/stored.v {ending}
{name}.weight_g <- outputs/stored.g {ending}
{name}.weight_v <- outputs/stored.v {ending}
{name}.running_mean <- outputs/stored.mean {ending}
{name}.running_var <- outputs/stored.variance {ending}
"""


def mimi(place: str) -> str:
    """The rules for Mimi's parts, each of which has a stack of its own."""
    sides = ("encoder", "decoder")
    inner = "".join(beside(f"{place}.{side}_seanet", f"{place}.{side}.{side}_seanet.") for side in sides)
    outer = "".join(beside(f"{place}.{side}", f"{place}.{side}.") for side in sides)
    return inner + outer + beside(f"{place}.quantizer", f"{place}.quantizer.")


def of_stack(stack: str, place: str, text: str) -> str:
    """The rules of a layout for a part of its kind, by the name of its stack, whose modules stand at ``place``."""
    rules = (line.partition("|") for line in text.splitlines() if line)
    return "".join(f"{place}{rule} |{notes} {stack}\n" for rule, _, notes in rules)
