"""Wav2Vec2 and its kin in two parts: what is frozen, computed once a clip, and what learns above it.

Theirs are the names of Whisper's with a CTC head (`whisper_ctc`), which is in parts by itself.
"""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import CausalLMOutput

from trainer.models.learning import time_spans


class LayersApart:
    """Mixed into a class of transformers that has a front end of convolutions, a projection and like layers."""

    config: Any

    @property
    def _body(self) -> Any:
        model: Any = self
        return getattr(model, model.base_model_prefix)

    def freeze_layers(self, count: int) -> None:
        """Freeze all that `lower_states` computes."""
        body = self._body
        parts: list[nn.Module] = [body.feature_extractor]
        if count:
            parts += [body.feature_projection, body.encoder.pos_conv_embed, *body.encoder.layers[:count]]
            if not self._norms_at_the_end:
                parts.append(body.encoder.layer_norm)
            if hasattr(body, "masked_spec_embed"):  # what it stands for is below what learns
                body.masked_spec_embed.requires_grad_(False)
        for part in parts:
            part.requires_grad_(False)

    @property
    def _norms_at_the_end(self) -> bool:
        return bool(getattr(self.config, "do_stable_layer_norm", False))

    def lower_states(
        self, input_values: torch.Tensor, attention_mask: torch.Tensor | None, layers: int
    ) -> torch.Tensor:
        """(clips, samples) -> what the lowest `layers` layers make of them, (clips, frames, hidden); with none of them
        what the convolutions do, (clips, frames, channels). Only for clips without padding; nothing is masked."""
        if attention_mask is not None:
            raise ValueError("Only for clips alone.")
        heard: torch.Tensor = self._body.feature_extractor(input_values).transpose(1, 2)
        if layers == 0:
            return heard
        hidden = self._positioned(self._projected(heard))
        return self._through(hidden, None, 0, layers)

    def forward(
        self,
        input_values: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        hidden_states: torch.Tensor | None = None,
        first_layer: int = 0,
        **kwargs: Any,
    ) -> Any:
        """As the class's own. With `hidden_states`, those of `lower_states` padded, it begins at layer `first_layer`
        with them; `attention_mask` is (clips, frames) then, and no loss is computed.

        Masks (SpecAugment) lie where learning begins: above the convolutions as ever, higher up as zeros.
        """
        model: Any = self
        if hidden_states is None:
            return super().forward(input_values, attention_mask=attention_mask, labels=labels, **kwargs)  # type: ignore[misc]
        own = None if attention_mask is None else attention_mask.bool()
        if first_layer == 0:
            hidden = self._body._mask_hidden_states(self._projected(hidden_states), attention_mask=own)
            if own is not None:
                hidden = hidden * own[:, :, None].to(hidden.dtype)
            hidden = self._positioned(hidden)
        else:
            hidden = self._masked(hidden_states, own)
        hidden = self._through(hidden, own, first_layer, self.config.num_hidden_layers)
        if self._norms_at_the_end:
            hidden = self._body.encoder.layer_norm(hidden)
        return CausalLMOutput(logits=model.lm_head(model.dropout(hidden)))

    def _projected(self, heard: torch.Tensor) -> torch.Tensor:
        projected = self._body.feature_projection(heard)
        hidden: torch.Tensor = projected[0] if isinstance(projected, tuple) else projected
        return hidden

    def _positioned(self, hidden: torch.Tensor) -> torch.Tensor:
        """What stands before the layers: where a frame is, a norm in the older kind, dropout."""
        encoder = self._body.encoder
        hidden = hidden + encoder.pos_conv_embed(hidden)
        if not self._norms_at_the_end:
            hidden = encoder.layer_norm(hidden)
        positioned: torch.Tensor = encoder.dropout(hidden)
        return positioned

    def _through(self, hidden: torch.Tensor, own: torch.Tensor | None, first: int, end: int) -> torch.Tensor:
        mask = create_bidirectional_mask(config=self.config, inputs_embeds=hidden, attention_mask=own)
        model: Any = self
        for layer in self._body.encoder.layers[first:end]:
            # LayerDrop (Fan et al. 2020, arXiv 1909.11556)
            dropped = getattr(self.config, "layerdrop", 0.0)
            if model.training and dropped > 0 and float(torch.rand(())) < dropped:
                continue
            hidden = layer(hidden, attention_mask=mask)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        return hidden

    def _masked(self, hidden: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
        model: Any = self
        if not (model.training and self.config.mask_time_prob > 0):
            return hidden
        clips, longest, _ = hidden.shape
        lengths = torch.full((clips,), longest, device=hidden.device) if own is None else own.sum(-1)
        return hidden.masked_fill(time_spans(self.config, lengths, longest)[:, :, None], 0.0)


def take_apart(model: PreTrainedModel) -> None:
    """Give a model these methods, in place; its weights and the name of its class stay."""
    kind = type(model)
    if issubclass(kind, LayersApart) or hasattr(kind, "lower_states"):
        return
    model.__class__ = type(kind.__name__, (LayersApart, kind), {"__module__": kind.__module__})
