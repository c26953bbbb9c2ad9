# SPDX-License-Identifier: Apache-2.0
"""The agents' documents, as data: every parameter is written here and nowhere else."""
