# SPDX-License-Identifier: Apache-2.0
"""Records one MLflow run: for a program that is ending, which can start no threads and so read no artifacts any more.

Its arguments are the tracking store and the id of the run; the environment is that of the program.
"""

import sys


def main(arguments: list[str]) -> None:
    """Record the run, or say why not as the plug-in does."""
    from mlflow import MlflowClient

    from pedigree.mlflowruns.plugin import record_ended

    tracking_uri, run_id = arguments
    record_ended(MlflowClient(tracking_uri), run_id)


if __name__ == "__main__":
    main(sys.argv[1:])
