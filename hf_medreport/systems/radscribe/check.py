"""What is looked at when a RadScribe was loaded."""

from hf_medreport.processing.input_error import InputError


def label_tokenizer(name: str, model, processor) -> None:
    """Refuse a tokenizer of other words than the encoder's; transformers takes any for one that is missing."""
    encoder, tokenizer = model.config.encoder, processor.label_tokenizer
    marks = (tokenizer.sep_token_id, tokenizer.pad_token_id)
    expected = (encoder.sep_token_id, encoder.bert.pad_token_id)
    if marks != expected or len(tokenizer) > encoder.bert.vocab_size:
        found = f"{len(tokenizer)} words with [SEP] and [PAD] at {marks[0]} and {marks[1]}"
        most = f"at most {encoder.bert.vocab_size}, with these at {expected[0]} and {expected[1]}"
        raise InputError(f"{name}/label_tokenizer", found, most, "copy the folder again")
