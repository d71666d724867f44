"""Phrases that are longer than the text encoder reads."""

import torch
from promptseg.nn import text_encoder
from promptseg.nn.text_encoder import PhraseEmbeddings


def embeddings(seen):
    """Of the tiny tokenizer, which has a token for each letter, and two for the ends; 12 are read."""

    def encode(tokens):
        seen.append(tuple(tokens.input_ids.shape))
        return torch.zeros(tokens.input_ids.shape)

    return PhraseEmbeddings(text_encoder.letters(), 12, encode)


def test_a_phrase_that_is_cut_is_named_once_with_where_it_is_cut(capsys):
    seen = []
    phrases = embeddings(seen)
    phrases(["abcdefghij"])  # 10 letters and the ends
    assert capsys.readouterr() == ("", "")
    phrases(["fire", "abcdefghijk"])
    assert capsys.readouterr().err == (
        "note: the phrase 'abcdefghijk' has 13 tokens, of which the text encoder reads 12: it is cut after "
        "'abcdefghij'; shorten it\n"
    )
    phrases(["abcdefghijk"])
    phrases._entries.clear()  # as where thousands of other phrases came between
    phrases(["abcdefghijk"])
    assert capsys.readouterr() == ("", "") and seen == [(1, 12), (2, 12), (1, 12)]


def test_the_note_is_one_line_whatever_the_phrase_has(capsys):
    embeddings([])(["black spots\nand much more"])
    note = capsys.readouterr().err
    assert note.count("\n") == 1 and "'black spots and much more'" in note
