"""What the command line tells of each epoch that a run has ended, in the spirit of TensorFlow's ptb_word_lm."""

from collections.abc import Callable, Mapping
from typing import Any

from lib.job import Job

# What a note of the diary has of an epoch, and how it is written.
TOLD = {
    "learning_rate": ("Learning rate", ".4g"),
    "perplexity": ("Train perplexity", ".2f"),
    "valid_perplexity": ("Valid perplexity", ".2f"),
}


class EpochLines:
    """Writes the corpus first, then a line for each whole epoch, and the test perplexity after the last.

    Of a run that is `resumed`, epochs that were over before the first look are not told again. Words per second are of the steps
    that were seen, without the measuring between them.
    """

    def __init__(self, write: Callable[[str], None], *, resumed: bool) -> None:
        self._write, self._resumed = write, resumed
        self._notes: int | None = None  # that were there, or have been told
        self._at = (0, 0.0)  # the step and the seconds of the last look
        self._steps, self._seconds = 0, 0.0  # of training since the last line
        self._speed = 0.0  # steps per second before that

    def look(self, job: Job) -> None:
        """Tell what has come since the last look."""
        if self._notes is None:
            self._notes = len(job.diary) if self._resumed else 0
            self._at = (job.step, job.seconds) if self._resumed else (0, 0.0)
            if job.config.learns_from:
                self._write(f"Corpus: {job.config.learns_from}")
        step, seconds = job.step, job.seconds
        if step > self._at[0]:
            self._steps += step - self._at[0]
            self._seconds += seconds - self._at[1]
        self._at = step, seconds
        diary = job.diary
        notes, self._notes = diary[self._notes :], len(diary)
        ended = [note for note in notes if note["step"] % job.steps_per_epoch == 0 and TOLD.keys() <= note.keys()]
        if ended and self._seconds > 0:
            self._speed = self._steps / self._seconds
            self._steps, self._seconds = 0, 0.0
        for note in ended:
            self._tell(job, note)

    def _tell(self, job: Job, note: Mapping[str, Any]) -> None:
        config: Any = job.config  # of a language model: no other demo has such notes
        line = f"Epoch: {note['step'] // job.steps_per_epoch}"
        line += "".join(f"  {what}: {note[name]:{form}}" for name, (what, form) in TOLD.items())
        if self._speed and not config.recorded:
            line += f"  {self._speed * config.words_per_step:,.0f} words/s"
        self._write(line)
        if "test_perplexity" in note:
            self._write(f"Test perplexity: {note['test_perplexity']:.2f}")
