"""What others import until they import `reports.evaluation_folder`."""

import sys

from jigsaw_shape.reports import evaluation_folder

sys.modules[__name__] = evaluation_folder
