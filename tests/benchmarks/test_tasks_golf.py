"""The code-golf task: shorter and right wins, shorter and wrong has no score."""

from __future__ import annotations

import pytest
from tasks.code_golf import make
from tasks.golf_functions import GOLF

from llm_optimize import Failure

SHORTER = (
    "import re\nf=lambda s:re.sub(r'(.|\\n)\\1+',lambda m:m[1]+str(len(m[0])),s)",
    "def f(s):\n for _ in s:s=s.replace('()','').replace('[]','').replace('{}','')\n return s==''",
    (
        "def f(n):\n r=''\n for v,k in zip([1000,900,500,400,100,90,50,40,10,9,5,4,1],"
        "'M CM D CD C XC L XL X IX V IV I'.split()):r+=n//v*k;n%=v\n return r"
    ),
    "def f(n):\n c=0\n while n>1:n=[n//2,3*n+1][n%2];c+=1\n return c",
    "f=lambda n:['Fizz'*(i%3<1)+'Buzz'*(i%5<1)or str(i)for i in range(1,n+1)]",
    "import codecs\nf=lambda s:codecs.encode(s,'rot13')",
    "def f(n):\n r=[];d=2\n while n>1:\n  if n%d:d+=1\n  else:r+=[d];n//=d\n return r",
    "f=lambda n:n and(n-1)%9+1",
    "f=lambda m:[[*r]for r in zip(*m[::-1])]",
    "import os\nf=os.path.commonprefix",
)


@pytest.mark.parametrize("seed", range(10))
def test_each_start_scores_minus_one_and_a_shorter_program_more(seed):
    """All ten functions can be written with at most 65 % of the start's bytes."""
    task = make(seed)
    assert task.score(task.start).score == -1
    assert -0.65 <= task.score(SHORTER[seed]).score < 0


def test_tests_differ_by_seed_and_the_function_by_the_last_digit():
    """Seeds 0 and 10 ask for the same function and test it with other inputs; a task has 20 tests beside the edges."""
    one, other = make(0), make(10)
    assert one.task == other.task != make(1).task
    assert one.score.tests != other.score.tests
    assert len(one.score.tests) == len(GOLF[0].fixed) + 20


@pytest.mark.parametrize(
    "cheat",
    [
        "class E(int):\n def __eq__(s,o):return 1\nf=lambda n:E()",
        "f=lambda n:{0:0,9:9,10:1,99:9,10**30-1:9}.get(n,0)",
        "f=lambda n:9",
        "raise SystemExit",
        "print('all hidden tests pass')",
        "import gc\nf=lambda n:[o for o in gc.get_objects()if'expected'in str(type(o))][0]",
        "import sys\nf=lambda n:sys._getframe(1).f_locals.get('expected')",
        "f=lambda n:f",
        "",
    ],
)
def test_a_cheating_program_has_no_score(cheat):
    """Objects that equal everything, the edges by heart, and looks at the judge are failures, however short."""
    outcome = make(7).score(cheat)
    assert isinstance(outcome, Failure)
    assert outcome.message


def test_letters_packed_into_wide_characters_gain_nothing():
    """A program that is right and hides its text two letters to a character is no shorter than it is written out."""
    plain = GOLF[6].start.strip() + "\n" * (len(GOLF[6].start.strip()) % 2)
    packed = f'exec(bytes("{plain.encode().decode("utf-16-le")}","u16")[2:])'
    assert len(packed) < len(plain) * 0.7
    assert make(6).score(packed).score < make(6).score(plain).score == -1


def test_a_program_that_knows_the_cases_of_one_seed_fails_at_another():
    """Answers collected from the feedback are worth nothing on the hidden tests of the next seed."""
    known = {arguments[0]: value for arguments, value in ((case.args, case.expected) for case in make(7).score.tests)}
    learnt = f"f=lambda n:{known!r}.get(n,0)"
    assert make(7).score(learnt).score < -1
    assert isinstance(make(17).score(learnt), Failure)
