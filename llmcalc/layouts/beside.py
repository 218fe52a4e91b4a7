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
