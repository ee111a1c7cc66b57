"""Rewards of reports: what a writer that learns from them is paid for, in the form that TRL's trainers call."""

from hf_medreport.evaluation.rewards.functions import completion_text, report_reward

__all__ = ["completion_text", "report_reward"]
