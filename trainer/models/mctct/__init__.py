"""M-CTC-T (Lugosch et al. 2021), which Transformers dropped in version 5, for version 5.

Weights, config.json and preprocessor_config.json are those of Transformers 4: speechbrain/m-ctc-t-large loads
unchanged. After `register()` the Auto classes know it as "mctct".
"""

from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForCTC

from trainer.models.mctct.configuration_mctct import MCTCTConfig
from trainer.models.mctct.feature_extraction_mctct import MCTCTFeatureExtractor
from trainer.models.mctct.modeling_mctct import MCTCTForCTC, MCTCTModel

__all__ = ["MCTCTConfig", "MCTCTFeatureExtractor", "MCTCTForCTC", "MCTCTModel", "register"]


def register() -> None:
    """Tell the Auto classes. Doing it again changes nothing."""
    AutoConfig.register(MCTCTConfig.model_type, MCTCTConfig, exist_ok=True)
    AutoFeatureExtractor.register(MCTCTConfig, MCTCTFeatureExtractor, exist_ok=True)
    AutoModel.register(MCTCTConfig, MCTCTModel, exist_ok=True)
    AutoModelForCTC.register(MCTCTConfig, MCTCTForCTC, exist_ok=True)
