"""The engine, the ladder and the judge. Every module in a line, in reading order:

config.py         ModelConfig: the sizes, checked once
attention.py      the arithmetic as pure functions; the axis legend
weights.py        ModelConfig + seed -> Weights, the same bits on every machine
model.py          Model: prefill, decode_step, generate; where KVCache.append is called

katas/__init__.py LADDER, and how a kata's folder is read
katas/append/     the pre-allocated cache: statement, starter, context, naive, checks

judge/__init__.py judge(path, kata) -> Report
judge/verdict.py  the eight verdicts, their exit codes and folders
judge/report.py   Report as JSON and as text
judge/check.py    Check, the Trial in which it runs, and Broken, what it raises
judge/tokens.py   cases: the real model, served with the oracle and with the submission
judge/budget.py   bytes that a call may allocate and an object may hold
judge/life.py     stateful laws: Hypothesis leads a cache through calls and shrinks
judge/transcript.py  the calls of a life, as Python that makes them again
judge/remote.py   proxies that look like the submission's objects
judge/frames.py   the wire format: JSON and raw array bytes, never pickle
judge/child.py    the other end: the only code that imports a submission
judge/local.py    the same end for a class of this process
judge/sandbox.py  the child's process: limits, clock, output, kill
judge/stop.py     Stopped: that process died, hung or broke its channel
judge/bank.py     every file under solutions/ against what it promises

bench/verdict.py  how long a verdict takes, beside an import
"""
