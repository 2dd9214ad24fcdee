"""M-CTC-T with its CTC head, for weights in the layout of speechbrain/m-ctc-t-large."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel, initialization
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput
from transformers.utils.generic import can_return_tuple
from transformers.utils.output_capturing import capture_outputs

from trainer.models.mctct.attention import MCTCTSelfAttention
from trainer.models.mctct.config import MCTCTConfig
from trainer.models.mctct.front_end import MCTCTConvolutions, MCTCTScale, frame_mask, frames_after_convolutions
from trainer.models.mctct.layer import MCTCTLayer
from trainer.models.mctct.spec_augment import spec_augment


class MCTCTPreTrainedModel(PreTrainedModel):
    """What both models below tell Transformers about themselves. Attention is eager: its scores have a part of
    their own, and the weights are returned."""

    config: MCTCTConfig
    base_model_prefix = "mctct"
    main_input_name = "input_features"
    input_modalities = "audio"
    supports_gradient_checkpointing = True
    _no_split_modules = ["MCTCTLayer"]  # noqa: RUF012  # as the base class has it
    _can_record_outputs = {"hidden_states": MCTCTLayer, "attentions": MCTCTSelfAttention}  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, MCTCTScale):
            initialization.ones_(module.singleton_weight)
            initialization.zeros_(module.singleton_bias)

    def _get_feat_extract_output_lengths(self, input_lengths: torch.Tensor) -> torch.Tensor:
        """Output frames for feature frames; Transformers' name for it."""
        return frames_after_convolutions(self.config, input_lengths)


class MCTCTEncoder(nn.Module):
    """Features to hidden states."""

    def __init__(self, config: MCTCTConfig) -> None:
        super().__init__()
        self.config = config
        self.layer_norm = MCTCTScale()
        self.conv = MCTCTConvolutions(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.layers = nn.ModuleList(MCTCTLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, features: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        """(clips, feature frames, features) -> (clips, frames, hidden)."""
        hidden = self.dropout(self.conv(self.layer_norm(features)))
        if attention_mask is not None:
            attention_mask = frame_mask(self.config, attention_mask, hidden.shape[1])
        mask = create_bidirectional_mask(self.config, hidden, attention_mask)
        for layer in self.layers:
            # LayerDrop (Fan et al. 2020, arXiv 1909.11556)
            if self.training and self.config.layerdrop > 0 and float(torch.rand(())) < self.config.layerdrop:
                continue
            hidden = layer(hidden, mask)
        return hidden


class MCTCTModel(MCTCTPreTrainedModel):
    """The transformer without a head."""

    def __init__(self, config: MCTCTConfig) -> None:
        super().__init__(config)
        self.encoder = MCTCTEncoder(config)
        self.post_init()

    @capture_outputs(tie_last_hidden_states=False)
    def forward(
        self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutput:
        """`input_features` (clips, feature frames, features), `attention_mask` (clips, feature frames), 1 where a
        clip is -> `last_hidden_state` (clips, frames, hidden)."""
        if self.training and (self.config.mask_time_prob > 0 or self.config.mask_feature_prob > 0):
            input_features = spec_augment(self.config, input_features, attention_mask)
        return BaseModelOutput(last_hidden_state=self.encoder(input_features, attention_mask))


class MCTCTForCTC(MCTCTPreTrainedModel):
    """The transformer and a linear map to the labels' scores."""

    # Every forward with **kwargs is taken to divide its loss by the batch's items itself, and gradient accumulation
    # would multiply it (upstream issue 47688).
    accepts_loss_kwargs = False

    def __init__(self, config: MCTCTConfig) -> None:
        super().__init__(config)
        self.mctct = MCTCTModel(config)
        self.ctc_head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    def freeze_feature_encoder(self) -> None:
        """Let training leave the scale and the convolutions as they are."""
        for part in (self.mctct.encoder.layer_norm, self.mctct.encoder.conv):
            part.requires_grad_(False)

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutput:
        """Inputs as for MCTCTModel; `labels` (clips, longest), negative where there is none -> `logits` (clips,
        frames, vocabulary) and, given labels, the CTC `loss` in nats over each clip's own frames, reduced as the
        config says. The blank is `config.pad_token_id`. Raises ValueError for a label outside the vocabulary."""
        if labels is not None and int(labels.max()) >= self.config.vocab_size:
            raise ValueError(f"There are {self.config.vocab_size} labels, but one is {int(labels.max())}.")
        outputs = self.mctct(input_features, attention_mask, **kwargs)
        logits = self.ctc_head(outputs.last_hidden_state)
        loss = None if labels is None else self._loss(logits, attention_mask, labels)
        return CausalLMOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )

    def _loss(self, logits: torch.Tensor, attention_mask: torch.Tensor | None, labels: torch.Tensor) -> torch.Tensor:
        clips, frames, _ = logits.shape
        own_frames = (
            torch.full((clips,), frames, device=logits.device)
            if attention_mask is None
            else frames_after_convolutions(self.config, attention_mask.sum(-1))
        )
        is_label = labels >= 0
        with torch.backends.cudnn.flags(enabled=False):  # cuDNN's CTC wants the blank at id 0
            return functional.ctc_loss(
                logits.float().log_softmax(-1).transpose(0, 1),
                labels[is_label],
                own_frames,
                is_label.sum(-1),
                blank=self.config.pad_token_id,
                reduction=self.config.ctc_loss_reduction,
                zero_infinity=self.config.ctc_zero_infinity,
            )
