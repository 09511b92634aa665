"""Lifting networks trained on poses from `posesynth`."""
