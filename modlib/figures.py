"""The theme and the charts that the chapters share."""

COLOURS = {
    "input_cov": "#1b6ca8",
    "input_grad": "#4fb3d9",
    "output_grad": "#d95f02",
    "output_hess": "#f0a04b",
}
